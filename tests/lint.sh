#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# All linters or the named ones, two at a time; ./test.sh calls this with a venv on PATH. None of them needs the network.
# One line for each that is content, all that it said for each that is not.
# shellcheck disable=SC2317 # the linters are called by the names in the list at the end
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

JOBS=2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ansible_lint() { ANSIBLE_INVENTORY=inventory/example/hosts.yml ansible-lint --nocolor -q; } # the checkout has no own one
# What ansible-lint asks Ansible about, for another ansible-core: installed_collection has the syntax of the playbooks.
roles_lint() { ANSIBLE_INVENTORY=inventory/example/hosts.yml ansible-lint --nocolor -q roles; }
antsibull_changelog() { antsibull-changelog lint; }
antsibull_docs() { antsibull-docs lint-collection-docs --plugin-docs .; }
mypy_strict() { mypy; }
ruff_check() { ruff check --quiet --output-format concise .; }
ruff_format() { ruff format --check --diff --quiet .; }
yaml_lint() { yamllint --strict .; }

shell_check() { # every shell script, by its first line or its shellcheck comment, tracked or not yet
    local file head scripts=()
    while IFS= read -r -d '' file; do
        if [ -f "$file" ] && [ ! -L "$file" ] && IFS= read -r head <"$file" 2>/dev/null &&
            [[ $head =~ ^#!.*[/\ ](ba)?sh( |$) || $head == "# shellcheck shell="* ]]; then
            scripts+=("$file")
        fi
    done < <(git ls-files -z --cached --others --exclude-standard)
    shellcheck "${scripts[@]}"
}

validate_modules() { # of ansible-test: documentation and argument specification of each module agree
    local validator said
    validator=$(python -c 'import ansible_test, pathlib; print(pathlib.Path(ansible_test.__path__[0]))')
    validator+=/_util/controller/sanity/validate-modules/validate.py
    export PYTHONPATH=$PWD/collections ANSIBLE_COLLECTIONS_PATH=$PWD/collections
    cd collections/ansible_collections/wonder/mesh
    said=$(python "$validator" --collection ansible_collections/wonder/mesh --arg-spec plugins/modules/*.py 2>&1) || true
    # Our licence is MIT, so its wish for the GPL's header is the one line that does not count.
    ! grep -v missing-gplv3-license <<<"$said" | grep .
}

installed_collection() { # what a user gets: built and installed outside the checkout, its playbooks are right, its plugins known
    local playbooks=("${PWD}"/playbooks/*.yml) said there kind plugins
    ansible-galaxy collection build --output-path "$work/built" >/dev/null
    mkdir "$work/elsewhere"
    cd "$work/elsewhere"
    export ANSIBLE_COLLECTIONS_PATH=$PWD ANSIBLE_HOME=$work/home
    ansible-galaxy collection install --offline --collections-path "$PWD" "$work"/built/*.tar.gz >/dev/null
    playbooks=("${playbooks[@]##*/}")
    said=$(ANSIBLE_DEPRECATION_WARNINGS=true ansible-playbook --syntax-check --inventory localhost, \
        "${playbooks[@]/#/wonder.mesh.}" 2>&1) || { echo "$said" && return 1; }
    ! grep --after-context 9 DEPRECAT <<<"$said" || return
    there=$PWD/ansible_collections/wonder/mesh
    for kind in callback filter inventory module; do
        mapfile -t plugins < <(compgen -G "$there/plugins/$kind/*.py" || compgen -G "$there/plugins/${kind}s/*.py")
        plugins=("${plugins[@]##*/}")
        plugins=("${plugins[@]%.py}")
        ! ansible-doc --type "$kind" "${plugins[@]/#/wonder.mesh.}" 2>&1 >/dev/null | grep . || return
    done
    ls "$there"/programs/*/go.sum >/dev/null
    echo '{all: {hosts: {localhost: {}}}}' >hosts.yml
    ansible-runner run "$there/runner" -p site.yml --inventory "$PWD/hosts.yml" --cmdline=--syntax-check
}

run() { # FUNCTION: its output and its time in files, its status as ours
    local started=${EPOCHREALTIME/[.,]/} status tenths
    set +e # so that set -e holds inside: it does not where a status is asked for
    (
        set -e
        "$1"
    ) >"$work/$1.log" 2>&1 </dev/null
    status=$?
    tenths=$(((${EPOCHREALTIME/[.,]/} - started) / 100000))
    echo "$((tenths / 10)).$((tenths % 10))" >"$work/$1.time"
    return "$status"
}

declare -A names=()
failed=0
collect() { # wait for one of them to end, and tell
    local pid name status=0 took
    wait -n -p pid "${!names[@]}" || status=$?
    name=${names[$pid]}
    unset "names[$pid]"
    took=$(<"$work/$name.time")
    if [ "$status" = 0 ]; then
        echo "ok ${name//_/-} ($took s)"
    else
        failed=1
        echo "FAILED ${name//_/-} ($took s)"
        cat "$work/$name.log"
        [ -z "${WONDER_MESH_FAILED-}" ] || echo "${name//_/-}: $(head -c 300 "$work/$name.log" | tr '\n' ' ')" >>"$WONDER_MESH_FAILED"
    fi
}

wanted=("$@")
[ $# -gt 0 ] || wanted=(ansible_lint mypy_strict antsibull_docs installed_collection validate_modules antsibull_changelog
    shell_check yaml_lint ruff_check ruff_format)
for name in "${wanted[@]}"; do
    [ "${#names[@]}" -lt "$JOBS" ] || collect
    run "$name" &
    names[$!]=$name
done
while [ "${#names[@]}" -gt 0 ]; do
    collect
done
exit "$failed"
