#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# All tests, or some parts of them:  ./test.sh [lint|unit|newest|fleet|programs|lima|fault|molecule|bench]...
# Two parts that are joined by a + run side by side.
# It installs what it needs, runs every part even when one before it failed, and says at the end which did.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. tools/packages.sh
. tools/python.sh
. tools/venv.sh

PARTS=(lint unit newest fleet programs+lima fault) # the others are run by name: bench wants a quiet machine

lint() {
    mesh_packages lint && tests/lint.sh
}
side_by_side() { # COMMAND [-- COMMAND]...: these at once; what one says comes when all before it have ended
    local runs=() logs=() run=() status=0 word each
    for word in "$@" --; do
        if [ "$word" != -- ]; then
            run+=("$word")
        else
            logs+=("$(mktemp)")
            "${run[@]}" >"${logs[-1]}" 2>&1 &
            runs+=($!) run=()
        fi
    done
    for each in "${!runs[@]}"; do
        tail -n +1 --follow --quiet --pid="${runs[$each]}" "${logs[$each]}" || true # Ctrl-C ends it before its run
        until wait "${runs[$each]}"; do
            kill -0 "${runs[$each]}" 2>/dev/null || { status=1 && break; }
        done
        rm "${logs[$each]}"
    done
    return $status
}
spread() { # FOLDER FOLDERS [-- FOLDERS]...: runs of pytest at once, each with some folders; the last has all else of the first
    local all=$1 runs=(pytest) word elsewhere=()
    shift
    for word in "$@"; do
        runs+=("$word")
        if [ "$word" = -- ]; then
            runs+=(pytest)
        else
            elsewhere+=("--ignore=$word")
        fi
    done
    side_by_side "${runs[@]}" -- pytest "$all" "${elsewhere[@]}"
}
unit() { # in three runs of about the same length; many tests wait, but some mind a busy machine, so no more of them
    local plugins=tests/unit/plugins
    spread tests/unit $plugins/{action,callback,inventory} tests/unit/probe -- \
        $plugins/{filter,module_utils,modules,plugin_utils}
}
newest() { # what depends on Ansible once more, with the newest ansible-core on the newest Python
    mesh_packages lint && mesh_venv newest || return
    local PATH=$PWD/.venv-newest/bin:$PATH plugins=tests/unit/plugins
    local -x PYTEST_ADDOPTS=--hypothesis-profile=few # see tests/unit/conftest.py
    tests/lint.sh roles_lint mypy_strict installed_collection validate_modules &&
        spread $plugins $plugins/{action,callback,inventory}
}
fleet() { # one world or two per process: their hosts are idle most of the time
    local one_vps=(tests/fleet/test_{distributed,one_vps,relays,removal,runner}.py) wireguard=(tests/fleet/test_wireguard{,_changes,_keys}.py)
    local tunnels=(tests/fleet/test_wireguard_interface.py) nats=(tests/fleet/test_{matrix,nats}.py) status=0
    local elsewhere=("${one_vps[@]}" "${wireguard[@]}" "${tunnels[@]}" "${nats[@]}" tests/fleet/test_relay_changes.py) # that: in the part fault
    mesh_packages fleet && mesh_packages dns || return
    side_by_side pytest tests/fleet "${elsewhere[@]/#/--ignore=}" -- pytest "${one_vps[@]}" -- pytest "${wireguard[@]}" -- \
        pytest "${tunnels[@]}" || status=1
    pytest "${nats[@]}" || status=1 # its 14 hosts want the machine for themselves
    return $status
}
programs() { # what is built for another architecture runs there, and a new version takes over from an old one
    mesh_packages fleet && mesh_packages programs &&
        spread tests/programs tests/programs/test_{arm64,by_hand,upgrade,wireguard_kernel}.py # emulated, and on hosts; not on loopback
}
lima() { # the provider lima with Lima itself: two virtual machines, emulated, as a person who is not root makes them
    mesh_packages fleet && mesh_packages lima && tools/programs.py && PYTHONPATH=collections python -m tests.lima.image &&
        tests/lima/person pytest tests/lima
}
fault() { # a seeded tenth of all cases; WONDER_MESH_FAULT_SHARE=1 runs them all, and WONDER_MESH_FAULT_SEED chooses others
    local killed=(tests/fault/test_{kills,wireguard_kills,wireguard_trial}.py) # on hosts of their own, as the next
    local wrong=(tests/fault/test_{mutations,tunnel}.py) others=(tests/fault/test_killed_programs.py tests/fleet/test_relay_changes.py)
    mesh_packages fleet && spread tests/fault "${killed[@]}" -- "${wrong[@]}" -- "${others[@]}"
}
molecule() { # a scenario for each role, as a contributor runs them; by name
    mesh_packages fleet && command molecule test --all
}
bench() {
    mesh_packages fleet && pytest tests/bench
}

part() { # NAME: that part, and how it went
    local started=$SECONDS verdict=FAILED
    printf '\n== %s ==\n' "$1"
    "$1" && verdict=ok
    echo "== $1: $verdict after $((SECONDS - started)) s =="
    printf '%-8s  %-6s  %5d s\n' "$1" "$verdict" $((SECONDS - started)) >>"$work/table"
}

wanted=("$@")
[ $# -gt 0 ] || wanted=("${PARTS[@]}")
read -ra names <<<"${wanted[*]//+/ }"
for name in "${names[@]}"; do
    [[ $name =~ ^(lint|unit|newest|fleet|programs|lima|fault|molecule|bench)$ ]] || {
        echo "test.sh: there is no part '$name'. Usage: ./test.sh [lint|unit|newest|fleet|programs|lima|fault|molecule|bench]..." >&2
        exit 2
    }
done

mesh_packages lint
mesh_venv dev
PATH=$PWD/.venv/bin:$PATH
export PATH LC_ALL=C.UTF-8 # Ansible wants an UTF-8 locale, and a bare machine has none set
for name in "${!ANSIBLE_@}"; do
    unset "$name" # the settings of the person at the keyboard are not under test
done

# Ctrl-C reaches every run of pytest as well (see tests/conftest.py), which takes its hosts down. This waits for that.
stopped=''
trap 'stopped=yes' INT
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
export WONDER_MESH_FAILED=$work/failed # tests/conftest.py and tests/lint.sh tell it
touch "$work/failed" "$work/table"
for each in "${wanted[@]}"; do
    [ -z "$stopped" ] || break
    if [[ $each = *+* ]]; then
        side_by_side part "${each%+*}" -- part "${each#*+}"
    else
        part "$each"
    fi
done

echo
cat "$work/failed" "$work/table"
echo "parts: $(grep -c ' ok ' "$work/table" || true) passed, $(grep -c ' FAILED ' "$work/table" || true) failed"
[ -z "$stopped" ] || exit 130
! grep -q ' FAILED ' "$work/table"
