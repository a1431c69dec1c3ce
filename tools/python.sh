# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# A library to source, after packages.sh: `mesh_python` says where the pinned newer Python is, which the newest ansible-core
# wants and Debian 12 does not have. It fetches it if it is not in the cache yet.
#
# CPython comes as JavaCPP builds it, from the Maven repository, where no version ever changes or goes; it runs from any
# folder. Maven only fetches: what it brings is unpacked into ${XDG_CACHE_HOME:-~/.cache}/wonder-mesh/python/<key of the pin>
# if its sha256 is the pinned one. The folder appears by rename, so a half-fetched one is never used.

__MESH_PYTHON=3.14.3-1.5.13
__MESH_PYTHON_FETCHER=org.apache.maven.plugins:maven-dependency-plugin:3.8.1

__mesh_python_pin() { # -> the build for this machine and its sha256
    case $(uname -sm) in
        "Linux x86_64") echo linux-x86_64 eb5f1a6fe2dc498ac18927189a37f28a47b0ba06ae6bd85112eff023fe2eb46f ;;
        "Linux aarch64") echo linux-arm64 75d0ac8f457bdb2d6b684796c282ce4da1e0c377a02b954de2c718f80901a15f ;;
        *) __mesh_python_fail "there is no pinned Python for $(uname -sm)" ;;
    esac
}

__mesh_python_fail() {
    echo "python: $1" >&2
    return 1
}

mesh_python() { # -> the path of its interpreter
    local pin build sha cache folder python
    pin=$(__mesh_python_pin) || return
    read -r build sha <<<"$pin"
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/wonder-mesh/python
    folder=$cache/$__MESH_PYTHON-$build-${sha:0:16}
    python=$folder/bin/python${__MESH_PYTHON%.*-*}
    if [ ! -x "$python" ]; then
        mesh_packages newest && mkdir -p "$cache" || return
        ( # a subshell, so that the lock goes with it and no child that outlives us keeps it
            exec 9>"$cache/lock"
            ! command -v flock >/dev/null || flock 9
            [ -x "$python" ] || __mesh_python_fetch
        ) || return
    fi
    echo "$python"
}

# It sees the locals of mesh_python.
__mesh_python_fetch() {
    local temporary jar unpacked sum
    rm -rf "$cache"/new.* # of a killed run; we hold the lock
    temporary=$(mktemp -d "$cache/new.XXXXXX") || return
    # shellcheck disable=SC2064 # the value of now is meant
    trap "rm -rf '$temporary'" EXIT # of the subshell that we run in
    echo "python: fetching Python ${__MESH_PYTHON%-*} into the cache (once)" >&2
    # In a folder of its own, where no project and no other repository of artefacts is in the way.
    if ! (cd "$temporary" && mvn --batch-mode --strict-checksums -Dmaven.repo.local="$temporary/m2" \
        "$__MESH_PYTHON_FETCHER:get" -Dartifact="org.bytedeco:cpython:$__MESH_PYTHON:jar:$build" -Dtransitive=false) \
        </dev/null >"$temporary/log" 2>&1; then
        grep '^\[ERROR\]' "$temporary/log" | head -n 5 >&2
        __mesh_python_fail "Maven could not fetch it, see above: check the network and Maven's settings, then run again"
        return 1
    fi
    jar=$temporary/m2/org/bytedeco/cpython/$__MESH_PYTHON/cpython-$__MESH_PYTHON-$build.jar
    sum=$(sha256sum "$jar") || return
    [ "${sum%% *}" = "$sha" ] || __mesh_python_fail "Maven brought sha256 ${sum%% *}; $sha is pinned: nothing was unpacked" || return
    python3 -m zipfile -e "$jar" "$temporary/unpacked" || return
    unpacked=$temporary/unpacked/org/bytedeco/cpython/$build
    # What nothing of ours uses is two thirds of it: headers, its own tests, and a pip beside the one of ensurepip.
    rm -rf "$unpacked"/{include,share,libjnipython.so} "$unpacked"/lib/python*/{test,idlelib,turtledemo,site-packages/*}
    chmod +x "$unpacked/bin/${python##*/}" # the archive keeps no modes
    "$unpacked/bin/${python##*/}" -c 'import ctypes, ssl, venv, zlib' ||
        __mesh_python_fail "the pinned Python does not run here, see above" || return
    mv "$unpacked" "$folder"
}
