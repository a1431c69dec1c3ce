# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# A library to source: what the machine itself must have besides python3, git and Go, in this one place.
# `mesh_packages dns|fleet|lima|lint|newest|programs` installs what is missing of it with apt-get, and says so before. All it says goes to stderr.

__mesh_packages_of() { # PART -> lines of a command that shows that it is there, and the Debian package that brings it
    case $1 in
        fleet)
            echo "debootstrap debootstrap"
            echo "systemd-nspawn systemd-container"
            echo "nft nftables"
            echo "ip iproute2"
            echo "ssh openssh-client"
            echo "python3-ensurepip python3-venv"
            ;;
        dns)
            echo "knotd knot"
            ;;
        lima)
            echo "mmdebstrap mmdebstrap"
            echo "mkfs.ext4 e2fsprogs"
            echo "qemu-img qemu-utils"
            echo "qemu-system-x86_64 qemu-system-x86"
            ;;
        lint)
            echo "shellcheck shellcheck"
            echo "python3-ensurepip python3-venv"
            ;;
        newest)
            echo "mvn maven"
            ;;
        programs)
            echo "qemu-aarch64 qemu-user"
            echo "qemu-system-x86_64 qemu-system-x86"
            echo "wg wireguard-tools"
            ;;
        *)
            echo "packages: unknown part '$1': say mesh_packages dns, fleet, lima, lint, newest or programs" >&2
            return 1
            ;;
    esac
}

__mesh_packages_has() { # COMMAND
    if [ "$1" = python3-ensurepip ]; then
        python3 -c 'import ensurepip, venv' 2>/dev/null
    else
        PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null
    fi
}

mesh_packages() { # dns|fleet|lima|lint|newest|programs
    local list command package missing=()
    list=$(__mesh_packages_of "$1") || return
    while read -r command package; do
        __mesh_packages_has "$command" || missing+=("$package")
    done <<<"$list"
    [ ${#missing[@]} -gt 0 ] || return 0

    if ! command -v apt-get >/dev/null; then
        echo "packages: this machine has no apt-get; install what Debian calls ${missing[*]} and run again" >&2
        return 1
    elif [ "$(id -u)" != 0 ]; then
        echo "packages: missing ${missing[*]}; as root: apt-get install ${missing[*]}" >&2
        return 1
    fi
    echo "packages: installing ${missing[*]} with apt-get" >&2
    __mesh_packages_apt update && __mesh_packages_apt install --yes --no-install-recommends "${missing[@]}"
}

__mesh_packages_apt() { # ARGUMENT...: apt-get, one short line per package as progress; all that it said if it fails
    local log
    log=$(mktemp) || return
    if (
        set -o pipefail
        DEBIAN_FRONTEND=noninteractive apt-get --quiet -o DPkg::Lock::Timeout=120 "$@" </dev/null 2>&1 | tee "$log" |
            sed -un 's/^Setting up \([^ ]*\).*/packages: \1/p' >&2
    ); then
        rm -f "$log"
        return 0
    fi
    cat "$log" >&2
    rm -f "$log"
    echo "packages: apt-get $1 failed, see above: check the machine's apt sources, then run again" >&2
    return 1
}
