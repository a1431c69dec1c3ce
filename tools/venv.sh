# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# A library to source: `mesh_venv run` or `mesh_venv dev` makes .venv from a lock file, or finds it up to date (some ms).
#
# The wheels come from a cache, ${XDG_CACHE_HOME:-~/.cache}/wonder-mesh/wheels/<key of the lock>, which appears by rename,
# so a half-fetched one is never used. The stamp inside .venv is written last, so an interrupted venv is made again.
# dev holds all of run: a venv once made for dev stays so. All it says goes to stderr, errors in one line.

__mesh_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

mesh_venv() { # run|dev
    local kind=$1 venv=$__mesh_root/.venv run dev cache
    case $kind in
        run | dev) ;;
        *) __mesh_venv_fail "unknown kind '$kind': say mesh_venv run or mesh_venv dev" || return ;;
    esac
    run=$(__mesh_venv_sha "$__mesh_root/requirements.txt") || return
    dev=$(__mesh_venv_sha "$__mesh_root/requirements-dev.txt") || return
    __mesh_venv_fresh && return
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/wonder-mesh/wheels
    mkdir -p "$cache" || return
    ( # a subshell, so that the lock goes with it and no child that outlives us keeps it
        exec 9>"$cache/lock"
        if command -v flock >/dev/null && ! flock -n 9; then
            echo "venv: waiting for another run that makes one" >&2
            flock 9
        fi
        __mesh_venv_fresh || __mesh_venv_make
    )
}

# The helpers below see the locals of mesh_venv: kind, venv, run, dev, cache.

__mesh_venv_fail() {
    echo "venv: $1" >&2
    return 1
}

__mesh_venv_sha() { # FILE -> hexadecimal sha256; macOS has shasum, Linux sha256sum
    local line
    line=$(sha256sum "$1" 2>/dev/null || shasum -a 256 "$1") || return
    echo "${line%% *}"
}

__mesh_venv_fresh() { # is .venv what the locks say, with at least this kind in it?
    local wanted="$run"
    [ "$kind" = run ] || wanted="$run $dev"
    [ -x "$venv/bin/python" ] && [ -f "$venv/.stamp" ] || return 1
    case "$(<"$venv/.stamp")" in
        "$wanted" | "$wanted "*) return 0 ;;
        *) return 1 ;;
    esac
}

__mesh_venv_make() {
    local lock=$__mesh_root/requirements.txt stamp=$run old='' wheels started=$SECONDS pip
    [ -f "$venv/.stamp" ] && old=$(<"$venv/.stamp")
    if [ "$kind" = dev ] || [ "${old#* }" != "$old" ]; then
        kind=dev lock=$__mesh_root/requirements-dev.txt stamp="$run $dev"
    fi
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        __mesh_venv_fail "python3 is $(python3 -V 2>&1 || true); Python 3.11 or newer is needed: apt-get install python3" || return
    wheels=$(__mesh_venv_wheels "$lock" "${stamp##* }") || return

    echo "venv: installing $(grep -c '==' "$lock") packages into .venv ($kind)" >&2
    # Only a complete run venv of this very lock is added to; anything else is made anew, so that nothing stale stays.
    if [ "$old" != "$run" ] || [ ! -x "$venv/bin/python" ]; then
        rm -rf "$venv"
        python3 -m venv --without-pip "$venv" || __mesh_venv_fail "python3 -m venv failed: apt-get install python3-venv" || return
    fi
    rm -f "$venv/.stamp"
    pip=("$wheels"/pip-*.whl) # the pinned pip, run from its wheel: ensurepip would take longer than all the rest
    PYTHONPATH=${pip[0]} "$venv/bin/python" -m pip --isolated --quiet --disable-pip-version-check install --no-compile \
        --no-warn-script-location --require-hashes --no-index --find-links "$wheels" --requirement "$lock" >&2 ||
        __mesh_venv_fail "pip could not install from $wheels: remove that folder and run again" || return
    echo "$stamp" >"$venv/.stamp"
    echo "venv: ready after $((SECONDS - started)) s" >&2
}

__mesh_venv_wheels() { # LOCK KEY -> the cache folder with all wheels of this lock for this Python; fetches them if missing
    local lock=$1 folder temporary
    folder=$cache/${2:0:16}-$(python3 -c 'import sys, sysconfig as s; print(sys.implementation.cache_tag, s.get_platform(), sep="-")')
    if [ ! -d "$folder" ]; then
        python3 -c 'import ensurepip' 2>/dev/null ||
            __mesh_venv_fail "python3 has no venv module with pip: apt-get install python3-venv" || return
        rm -rf "$cache"/new.* # of a killed run; we hold the lock
        temporary=$(mktemp -d "$cache/new.XXXXXX") || return
        : >"$temporary/log"
        __mesh_venv_watch "$temporary/log" "$(grep -c '==' "$lock")" $BASHPID >/dev/null &
        # shellcheck disable=SC2064 # the values of now are meant
        trap "kill $! 2>/dev/null; [ ! -t 2 ] || printf '\r\033[K' >&2; rm -rf '$temporary'" EXIT # of the command substitution that we run in
        # python3 -m pip would do, but Debian's python3 has none
        if ! { python3 -m venv "$temporary/venv" && "$temporary/venv/bin/python" -m pip --disable-pip-version-check download \
            --require-hashes --only-binary :all: --dest "$temporary/wheels" --requirement "$lock"; } >"$temporary/log" 2>&1; then
            tail -n 5 "$temporary/log" >&2
            __mesh_venv_fail "fetching the wheels of ${lock##*/} failed, see above: check the network and pip's settings, then run again"
            return 1
        fi
        mv "$temporary/wheels" "$folder" || return
    fi
    echo "$folder"
}

__mesh_venv_watch() { # LOG COUNT PID: say what pip is at, on a terminal each second, until the process ends
    local seen
    echo "venv: fetching the wheels of up to $2 packages into the cache (once)" >&2
    while [ -t 2 ] && kill -0 "$3" 2>/dev/null; do
        seen=$(grep -c '^Collecting' "$1") || true
        printf '\rvenv: %d of up to %d ' "$seen" "$2" >&2
        sleep 1
        printf '\r\033[K' >&2
    done
}
