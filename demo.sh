#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# From an empty checkout to a proven mesh, and back to nothing; `./demo.sh help` says all. It may be interrupted at any point
# and started again. This file only makes the Python environment that the rest needs; the rest is fleet/.
set -euo pipefail

usage() {
    cat <<'EOF'
./demo.sh [up]               set up all it needs, make the fleet, provision it, prove it, and leave it running
./demo.sh status [--json]    the proof, measured anew
./demo.sh ssh NAME [COMMAND] a shell on a host of the fleet, or one command there
./demo.sh inventory          the path of the fleet's inventory
./demo.sh down               remove the fleet; nothing stays
Each takes --backend wireguard, for the same world on plain WireGuard instead of Headscale; or --topology NAME (one of
fleet/topologies, default demo), or --topology ./FILE.yml. With --provider lima, as on macOS, hosts are virtual machines
of one home (default lima/topologies/mac.yml), and no root is needed.
EOF
}

fail() { # MESSAGE [STATUS]
    echo "demo.sh: $1" >&2
    exit "${2:-1}"
}

verb='' topology='' backend='' provider='' rest=()
while [ $# -gt 0 ]; do
    case $1 in
        --topology)
            [ $# -ge 2 ] || fail "--topology needs the name of one; see ./demo.sh help" 2
            topology=$2 && shift ;;
        --topology=*) topology=${1#*=} ;;
        --backend)
            [ $# -ge 2 ] || fail "--backend needs headscale or wireguard; see ./demo.sh help" 2
            backend=$2 && shift ;;
        --backend=*) backend=${1#*=} ;;
        --provider)
            [ $# -ge 2 ] || fail "--provider needs nspawn or lima; see ./demo.sh help" 2
            provider=$2 && shift ;;
        --provider=*) provider=${1#*=} ;;
        help | -h | --help) usage && exit 0 ;;
        --json) [ "$verb" = status ] || fail "--json goes with status only; see ./demo.sh help" 2
            rest+=("$1") ;;
        -*) fail "there is no option '$1'; see ./demo.sh help" 2 ;;
        up | status | ssh | inventory | down)
            [ "$verb" != ssh ] || { rest+=("$@") && break; } # a host may be called like a verb
            [ -z "$verb" ] || fail "one command at a time: '$verb' or '$1'" 2
            verb=$1 ;;
        *)
            [ "$verb" = ssh ] || fail "there is no command '$1'; see ./demo.sh help" 2
            rest+=("$1")
            while [ $# -ge 3 ]; do
                case $2 in
                    --topology) topology=$3 ;;
                    --backend) backend=$3 ;;
                    --provider) provider=$3 ;;
                    *) break ;;
                esac
                shift 2
            done
            rest+=("${@:2}") # all that follows the host's name is for the host
            break ;;
    esac
    shift
done
verb=${verb:-up}
[ -z "$backend" ] || [ -z "$topology" ] || fail "a topology says itself what its backend is: give one of the two" 2
case $backend in
    '' | headscale) ;;
    wireguard) topology=demo-wireguard ;;
    *) fail "there is no backend '$backend': say headscale or wireguard" 2 ;;
esac
system=$(uname -s)
[ -n "$provider" ] || [ "$system" != Darwin ] || provider=lima
[ "$verb" != ssh ] || [ ${#rest[@]} -gt 0 ] || fail "ssh needs the name of a host; see ./demo.sh help" 2

case ${provider:=nspawn} in
    nspawn)
        [ "$system" = Linux ] || fail "the provider nspawn needs Linux (its hosts are systemd containers): use --provider lima"
        [ "$(id -u)" = 0 ] || fail "root is needed, for network namespaces, mounts and containers: run sudo ./demo.sh" ;;
    lima)
        [ "$(id -u)" != 0 ] || fail "limactl does not run as root: run this as an ordinary user"
        [ "$verb" = down ] || for word in limactl:lima go:go; do
            command -v "${word%:*}" >/dev/null || fail "there is no ${word%:*}: brew install ${word#*:}"
        done ;;
    *) fail "there is no provider '$provider': say nspawn or lima" 2 ;;
esac

case $topology in
    /*) ;;
    */*) topology=$PWD/$topology ;; # before we leave the caller's directory
esac
cd -P "$(dirname "${BASH_SOURCE[0]}")"
[ -n "$topology" ] || case $provider in
    nspawn) topology=demo ;;
    lima) topology=$PWD/lima/topologies/mac.yml ;;
esac
. tools/packages.sh
. tools/venv.sh
export PATH=$PATH:/usr/sbin:/sbin # su may leave them out
case ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} in
    *[Uu][Tt][Ff]*) ;;
    *) export LC_ALL=C.UTF-8 ;; # Ansible wants an UTF-8 locale, and a bare machine has none set
esac

# The same lock as fleet/state.py's, taken before there is a Python: file descriptor 7, which no child gets. For virtual
# machines it is taken there alone, since macOS has no flock.
lock() {
    local state
    [ "$provider" = nspawn ] || return 0
    [ "${topology#/}" = "$topology" ] || topology=$(realpath --canonicalize-missing -- "$topology")
    state=/var/lib/wonder-mesh/wm$(printf '%s\n%s\n' "$PWD" "$topology" | sha256sum | cut -c1-6)
    until [ -e "$state/lock" ] && [ "$state/lock" -ef /proc/self/fd/7 ]; do # a run that ends removes it
        (umask 022 && mkdir -p "${state%/*}")
        (umask 077 && mkdir -p "$state")
        exec 7>>"$state/lock"
        flock --nonblock 7 ||
            fail "another run of this fleet is at work (process $(<"$state/lock")); wait for it, or end it and start again"
    done
    echo $$ >"$state/lock"
    export WONDER_MESH_LOCK_FD=7
}

case $verb in
    up)
        WONDER_MESH_STARTED=$(date +%s)
        export WONDER_MESH_STARTED
        lock
        cache=${XDG_CACHE_HOME:-$HOME/.cache}/wonder-mesh
        if [ "$provider" = nspawn ]; then
            cat >&2 <<EOF
demo.sh: this needs, and makes where it is missing:
  on the machine     a few Debian packages (named before they are installed)
  in the checkout    .venv, the Python environment
  in the cache       $cache: wheels, programs built from source, the hosts' base tree
  while it runs      the fleet, under /var/lib/wonder-mesh; './demo.sh down' removes it
EOF
            mesh_packages fleet 7>&-
        else
            cat >&2 <<EOF
demo.sh: this needs, and makes where it is missing:
  in the checkout    .venv, the Python environment
  in the cache       $cache: wheels and programs built from source; Debian's image is in Lima's own
  while it runs      virtual machines, under ~/.wonder-mesh; './demo.sh down' removes them
EOF
        fi
        mesh_venv run 7>&-
        exec .venv/bin/python -m fleet.demo up --provider "$provider" --topology "$topology"
        ;;
    status)
        mesh_venv run
        exec .venv/bin/python -m fleet.demo status --provider "$provider" --topology "$topology" ${rest[@]+"${rest[@]}"}
        ;;
    *)
        [ "$verb" != down ] || lock
        mesh_venv run 7>&-
        exec .venv/bin/python -m fleet "$verb" --provider "$provider" --topology "$topology" ${rest[@]+"${rest[@]}"}
        ;;
esac
