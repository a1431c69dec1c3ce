# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# A library to source: `mesh_venv run` or `mesh_venv dev` makes .venv from a lock file, or finds it up to date (some ms).
# `mesh_venv newest`, for which python.sh is needed too, makes .venv-newest: all of dev with the newest ansible-core.
#
# The wheels come from a cache, ${XDG_CACHE_HOME:-~/.cache}/wonder-mesh/wheels/<key of the lock>, which appears by rename,
# so a half-fetched one is never used. The stamp inside .venv is written last, so an interrupted venv is made again.
# dev holds all of run: a venv once made for dev stays so. All it says goes to stderr, errors in one line.

__mesh_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

mesh_venv() { # run|dev|newest
    local kind=$1 venv=$__mesh_root/.venv python=python3 run dev wanted cache
    run=$(__mesh_venv_sha requirements.txt) || return
    dev=$(__mesh_venv_sha requirements-dev.txt) || return
    case $kind in
        run) wanted=$run ;;
        dev) wanted="$run $dev" ;;
        newest)
            venv=$__mesh_root/.venv-newest
            python=$(mesh_python) || return
            wanted="$(__mesh_venv_sha requirements-newest.txt) $python" || return
            ;;
        *) __mesh_venv_fail "unknown kind '$kind': say mesh_venv run, dev or newest" || return ;;
    esac
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

# The helpers below see the locals of mesh_venv: kind, venv, python, run, dev, wanted, cache.

__mesh_venv_fail() {
    echo "venv: $1" >&2
    return 1
}

__mesh_venv_how() { # DEBIAN'S PACKAGE, HOMEBREW'S -> how to install it here
    if [ "$(uname -s)" = Darwin ]; then echo "brew install $2"; else echo "apt-get install $1"; fi
}

__mesh_venv_sha() { # FILE -> hexadecimal sha256; macOS has shasum, Linux sha256sum
    local line
    line=$(sha256sum "$__mesh_root/$1" 2>/dev/null || shasum -a 256 "$__mesh_root/$1") || return
    echo "${line%% *}"
}

__mesh_venv_fresh() { # is it what the locks say, with at least this kind in it?
    [ -x "$venv/bin/python" ] && [ -f "$venv/.stamp" ] || return 1
    case "$(<"$venv/.stamp")" in
        "$wanted" | "$wanted "*) return 0 ;;
        *) return 1 ;;
    esac
}

__mesh_venv_make() {
    local lock=$__mesh_root/requirements-$kind.txt old='' wheels started=$SECONDS pip
    [ -f "$venv/.stamp" ] && old=$(<"$venv/.stamp")
    if [ "$kind" = run ] && [ "${old#* }" = "$old" ]; then
        lock=$__mesh_root/requirements.txt
    elif [ "$kind" = run ]; then
        kind=dev lock=$__mesh_root/requirements-dev.txt wanted="$run $dev"
    fi
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        __mesh_venv_fail "python3 is $(python3 -V 2>&1 || true); Python 3.11 or newer is needed: $(__mesh_venv_how python3 python)" || return
    wheels=$(__mesh_venv_wheels "$lock") || return

    echo "venv: installing $(grep -c '==' "$lock") packages into ${venv##*/} ($kind)" >&2
    # Only a complete run venv of this very lock is added to; anything else is made anew, so that nothing stale stays.
    if [ "$old" != "$run" ] || [ ! -x "$venv/bin/python" ]; then
        rm -rf "$venv"
        "$python" -m venv --without-pip "$venv" ||
            __mesh_venv_fail "$python -m venv failed: $(__mesh_venv_how python3-venv python)" || return
    fi
    rm -f "$venv/.stamp"
    pip=("$wheels"/pip-*.whl) # the pinned pip, run from its wheel: ensurepip would take longer than all the rest
    PYTHONPATH=${pip[0]} "$venv/bin/python" -m pip --isolated --quiet --disable-pip-version-check install --no-compile \
        --no-warn-script-location --require-hashes --no-index --find-links "$wheels" --requirement "$lock" >&2 ||
        __mesh_venv_fail "pip could not install from $wheels: remove that folder and run again" || return
    echo "$wanted" >"$venv/.stamp"
    echo "venv: ready after $((SECONDS - started)) s" >&2
}

__mesh_venv_wheels() { # LOCK -> the cache folder with all wheels of this lock for this Python; fetches them if missing
    local lock=$1 key folder temporary
    key=$(__mesh_venv_sha "${lock##*/}") || return
    folder=$cache/${key:0:16}-$("$python" -c 'import sys, sysconfig as s; print(sys.implementation.cache_tag, s.get_platform(), sep="-")')
    if [ ! -d "$folder" ]; then
        "$python" -c 'import ensurepip' 2>/dev/null ||
            __mesh_venv_fail "python3 has no venv module with pip: $(__mesh_venv_how python3-venv python)" || return
        rm -rf "$cache"/new.* # of a killed run; we hold the lock
        temporary=$(mktemp -d "$cache/new.XXXXXX") || return
        : >"$temporary/log"
        __mesh_venv_watch "$temporary/log" "$(grep -c '==' "$lock")" "${BASHPID:-$$}" >/dev/null &
        # shellcheck disable=SC2064 # the values of now are meant
        trap "kill $! 2>/dev/null; [ ! -t 2 ] || printf '\r\033[K' >&2; rm -rf '$temporary'" EXIT # of the command substitution that we run in
        # python3 -m pip would do, but Debian's python3 has none
        if ! { "$python" -m venv "$temporary/venv" && "$temporary/venv/bin/python" -m pip --disable-pip-version-check download \
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
