#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Make the lock files anew from their .in files: every distribution of every pinned version with its hash, for all
# platforms, and no index address. Needs the package index. To move one pin: tools/lock.sh --upgrade-package rich
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip --quiet install uv==0.13.9

lock() { # NAME.in NAME.txt PYTHON UV-ARGUMENT...
    echo "lock: $1 -> $2"
    "$work/venv/bin/uv" pip compile --quiet --universal --python-version "$3" --generate-hashes --strip-extras \
        --no-emit-index-url --no-emit-find-links --custom-compile-command tools/lock.sh "${@:4}" "$1" -o "$2"
}
lock requirements.in requirements.txt 3.11 "$@"
lock requirements-dev.in requirements-dev.txt 3.11 --constraints requirements.txt "$@" # so dev holds run as it is
# The same tools in the same versions, but for what requirements-newest.in pins.
sed -n 's/^\([a-z0-9-]*==\).*/^\1/p' requirements-newest.in >"$work/names"
sed -n 's/^\([a-z0-9].*==.*\) \\$/\1/p' requirements-dev.txt | grep --invert-match --file "$work/names" >"$work/pins"
lock requirements-dev.in requirements-newest.txt 3.14 --overrides requirements-newest.in --constraints "$work/pins" "$@"
sed -i.old "\|-c $work/pins|d" requirements-newest.txt && rm requirements-newest.txt.old # of no use to a reader
lock tests/bench/wg-meshconf.in tests/bench/wg-meshconf.txt 3.11 "$@" # the rival of tests/bench/test_tables.py
