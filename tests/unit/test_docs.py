# SPDX-License-Identifier: MIT
"""The pages in docs/ say what there is: properties, keys, commands and tests that exist, and all of them."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import jsonschema
import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs
from fleet import __main__ as fleet
from fleet import nat

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RESULT, PROMISES, FLEET = (
    (DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("result", "promises", "fleet")
)
RESULT_SCHEMA, TOPOLOGY_SCHEMA = (
    json.loads((ROOT / path).read_text(encoding="utf-8"))
    for path in ("docs/result.schema.json", "fleet/topology.schema.json")
)
OURS = [path.relative_to(ROOT) for path in DOCS.glob("*.md")]
NAMED_TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", PROMISES)))


def rows(text: str) -> list[str]:
    """The names in the first column of all tables in a text."""
    return re.findall(r"^\| `([\w.-]+)` \|", text, re.MULTILINE)


def sections(text: str) -> dict[str, list[str]]:
    """Each section's heading with the names in its tables."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    return {heading: rows(body) for heading, body in zip(parts[1::2], parts[2::2], strict=True)}


def properties(schema: dict[str, t.Any]) -> list[str]:
    """The names of what an object may hold."""
    return list(schema["properties"])


def test_every_property_of_the_result_is_explained() -> None:
    """In the order of the schema, each list of objects in a section of its own."""
    lists = {name: each["items"] for name, each in RESULT_SCHEMA["properties"].items() if "items" in each}
    connection = properties(RESULT_SCHEMA["$defs"]["connection"])
    wanted = {f"`{name}`": properties(each) for name, each in lists.items() if "properties" in each}
    assert {name for name in lists if f"`{name}`" not in wanted} == {"refusals", "grants"}
    wanted |= {"The whole": properties(RESULT_SCHEMA), "`refusals` and `grants`": connection}
    assert {heading: names for heading, names in sections(RESULT).items() if names} == wanted


def test_the_example_is_a_result_with_something_in_each_list() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", RESULT, re.DOTALL)
    result = json.loads(example)
    jsonschema.validate(result, RESULT_SCHEMA, cls=jsonschema.Draft202012Validator)
    assert [name for name, value in result.items() if value == []] == ["not_measured", "problems", "warnings"]


def test_every_key_of_a_topology_is_explained() -> None:
    host = TOPOLOGY_SCHEMA["$defs"]["hosts"]["additionalProperties"]
    home = TOPOLOGY_SCHEMA["properties"]["homes"]["additionalProperties"]
    keys = {key for schema in (TOPOLOGY_SCHEMA, home, host) for key in properties(schema)}
    assert set(sections(FLEET)["The topology file"]) == keys


def test_every_kind_of_nat_is_explained() -> None:
    assert sections(FLEET)["Kinds of NAT"] == list(nat.KINDS)


def test_every_command_of_the_fleet_is_named() -> None:
    verbs = re.findall(r"\{([\w,]+)\}", fleet.parser().format_usage())[0].split(",")
    (line,) = re.findall(r"python -m fleet (.*?) #", FLEET)
    assert sorted(re.findall(r"\b[a-z]+\b", line)) == sorted(verbs)


def test_promises_name_tests() -> None:
    promises = re.findall(r"^\| [A-Z`].*\. \| (.*) \|$", PROMISES, re.MULTILINE)
    assert len(promises) > 30
    assert [each for each in promises if "tests/" not in each] == []


@pytest.mark.parametrize("name", NAMED_TESTS)
def test_a_test_that_proves_a_promise_is_there(name: str) -> None:
    path, function = name.split("::")
    assert re.search(rf"^def {function}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_the_readme_leads_to_every_page(page: str) -> None:
    assert f"(docs/{page})" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in DOCS.glob("*.md"))])
def test_a_link_leads_to_a_file(page: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


PAGES = {page: (ROOT / page).read_text(encoding="utf-8") for page in ["README.md", *map(str, sorted(OURS))]}
FILE = re.compile(r"(?<![\w/.])((?:playbooks|tools|examples|tests|fleet|lima)/[\w/-]+\.(?:yml|py|sh))")
PART = re.compile(r"\./test\.sh ([a-z]+)")
VERB = re.compile(r"^    \./demo\.sh +([a-z]+)", re.MULTILINE)


def alternatives(script: str, pattern: str) -> set[str]:
    """What a script of ours knows, from its line with `one|another`."""
    (found,) = re.findall(pattern, (ROOT / script).read_text(encoding="utf-8"), re.MULTILINE)
    return {each.strip() for each in found.split("|")}


@pytest.mark.parametrize("page", PAGES)
def test_a_file_of_ours_that_is_named_is_there(page: str) -> None:
    """A playbook, a tool, an example or a test by its path."""
    assert {name for name in FILE.findall(PAGES[page]) if not (ROOT / name).is_file()} == set()


@pytest.mark.parametrize("page", PAGES)
def test_a_part_of_the_tests_that_is_run_is_one(page: str) -> None:
    known = alternatives("test.sh", r"^    \[\[ \$part =~ \^\(([\w|]+)\)\$")
    assert set(PART.findall(PAGES[page])) - known == set()


@pytest.mark.parametrize("page", PAGES)
def test_a_command_of_the_demo_is_one(page: str) -> None:
    known = alternatives("demo.sh", r"^        ([a-z |]+)\)\n +\[ \"\$verb\" != ssh")
    assert set(VERB.findall(PAGES[page])) - known == set()


@pytest.mark.parametrize("page", ["README.md", "docs/manual.md"])
def test_the_oldest_go_is_what_the_programs_ask_for(page: str) -> None:
    asked = [re.findall(r"^go ([\d.]+)$", path.read_text(), re.MULTILINE)[0] for path in ROOT.glob("programs/*/go.mod")]
    newest = max(tuple(map(int, each.split("."))) for each in asked)
    assert newest == _programs.GO_MINIMUM
    assert f"Go {'.'.join(map(str, newest))} or newer" in PAGES[page]
