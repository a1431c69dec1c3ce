#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# All tests, or some parts of them:  ./test.sh [lint|unit|newest|fleet|programs|lima|fault|molecule|bench]...
# It installs what it needs, runs every part even when one before it failed, and says at the end which did.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. tools/packages.sh
. tools/python.sh
. tools/venv.sh

PARTS=(lint unit newest fleet programs lima fault) # the others are run by name: bench wants a quiet machine

lint() {
    mesh_packages lint && tests/lint.sh
}
side_by_side() { # ARGUMENTS [-- ARGUMENTS]...: runs of pytest at once; what one says comes when all before it have ended
    local runs=() logs=() run=() status=0 word each
    for word in "$@" --; do
        if [ "$word" != -- ]; then
            run+=("$word")
        else
            logs+=("$(mktemp)")
            pytest "${run[@]}" >"${logs[-1]}" 2>&1 &
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
    local all=$1 word elsewhere=()
    shift
    for word in "$@"; do
        [ "$word" = -- ] || elsewhere+=("--ignore=$word")
    done
    side_by_side "$@" -- "$all" "${elsewhere[@]}"
}
unit() { # in three runs of about the same length; many tests wait, but some mind a busy machine, so no more of them
    local plugins=tests/unit/plugins
    spread tests/unit $plugins/{action,callback,inventory} tests/unit/probe -- \
        $plugins/{filter,module_utils,modules,plugin_utils}
}
newest() { # what depends on Ansible once more, with the newest ansible-core on the newest Python
    mesh_packages lint && mesh_venv newest || return
    local PATH=$PWD/.venv-newest/bin:$PATH plugins=tests/unit/plugins status=0 log
    local -x PYTEST_ADDOPTS=--hypothesis-profile=few # see tests/unit/conftest.py
    log=$(mktemp)
    tests/lint.sh roles_lint mypy_strict installed_collection validate_modules >"$log" 2>&1 &
    local linters=$!
    spread $plugins $plugins/{action,callback,inventory} || status=1
    wait $linters || status=1
    cat "$log" && rm "$log"
    return $status
}
fleet() { # one world or two per process: their hosts are idle most of the time
    local one_vps=(tests/fleet/test_{distributed,one_vps,removal,runner}.py) wireguard=(tests/fleet/test_wireguard{,_changes,_keys}.py)
    local relays=(tests/fleet/test_{relays,relay_changes,wireguard_interface}.py) nats=(tests/fleet/test_{matrix,nats}.py) status=0
    local elsewhere=("${one_vps[@]}" "${wireguard[@]}" "${relays[@]}" "${nats[@]}")
    mesh_packages fleet && mesh_packages dns || return
    side_by_side tests/fleet "${elsewhere[@]/#/--ignore=}" -- "${one_vps[@]}" -- "${wireguard[@]}" -- "${relays[@]}" || status=1
    pytest "${nats[@]}" || status=1 # its 14 hosts want the machine for themselves
    return $status
}
programs() { # what is built for another architecture runs there, and a new version takes over from an old one
    mesh_packages fleet && mesh_packages programs &&
        spread tests/programs tests/programs/test_{arm64,by_hand,upgrade,wireguard_kernel}.py -- \
            tests/programs/test_{people,people_front,policy,ssh}.py # emulated and on hosts, Headscale, and the rest
}
lima() { # the provider lima with Lima itself: two virtual machines, emulated, as a person who is not root makes them
    mesh_packages fleet && mesh_packages lima && tools/programs.py && PYTHONPATH=collections python -m tests.lima.image &&
        tests/lima/person pytest tests/lima
}
fault() { # a seeded tenth of all cases; WONDER_MESH_FAULT_SHARE=1 runs them all, and WONDER_MESH_FAULT_SEED chooses others
    local killed=(tests/fault/test_{kills,wireguard_kills}.py) # on hosts of their own, as the next two
    local wrong=(tests/fault/test_{mutations,wireguard_trial}.py)
    local others=(tests/fault/test_{damaged,damaged_relays,killed_programs,tunnel}.py)
    mesh_packages fleet && spread tests/fault "${killed[@]}" -- "${wrong[@]}" -- "${others[@]}"
}
molecule() { # a scenario for each role, as a contributor runs them; by name
    mesh_packages fleet && command molecule test --all
}
bench() {
    mesh_packages fleet && pytest tests/bench
}

wanted=("$@")
[ $# -gt 0 ] || wanted=("${PARTS[@]}")
for part in "${wanted[@]}"; do
    [[ $part =~ ^(lint|unit|newest|fleet|programs|lima|fault|molecule|bench)$ ]] || {
        echo "test.sh: there is no part '$part'. Usage: ./test.sh [lint|unit|newest|fleet|programs|lima|fault|molecule|bench]..." >&2
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
table='' passed=0 failed=0
WONDER_MESH_FAILED=$(mktemp) # tests/conftest.py and tests/lint.sh tell it
export WONDER_MESH_FAILED
trap 'rm "$WONDER_MESH_FAILED"' EXIT
for part in "${wanted[@]}"; do
    [ -z "$stopped" ] || break
    printf '\n== %s ==\n' "$part"
    started=$SECONDS
    if "$part"; then
        verdict=ok passed=$((passed + 1))
    else
        verdict=FAILED failed=$((failed + 1))
    fi
    took=$((SECONDS - started))
    echo "== $part: $verdict after $took s =="
    table+=$(printf '%-8s  %-6s  %5d s' "$part" "$verdict" "$took")$'\n'
done

printf '\n%s' "$(<"$WONDER_MESH_FAILED")"
printf '\n%sparts: %d passed, %d failed\n' "$table" "$passed" "$failed"
[ -z "$stopped" ] || exit 130
[ "$failed" = 0 ]
