#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Make both lock files anew from their .in files: every distribution of every pinned version with its hash, for all
# platforms, and no index address. Needs the package index. To move one pin: tools/lock.sh --upgrade-package rich
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip --quiet install uv==0.13.9

lock() { # NAME UV-ARGUMENT...
    local name=$1
    shift
    echo "lock: $name.in -> $name.txt"
    "$work/venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --strip-extras \
        --no-emit-index-url --no-emit-find-links --custom-compile-command tools/lock.sh "$@" "$name.in" -o "$name.txt"
}
lock requirements "$@"
lock requirements-dev --constraints requirements.txt "$@"  # so dev holds run as it is
