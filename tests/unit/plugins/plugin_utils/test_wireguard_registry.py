# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_registry import (
    Entry,
    Registry,
    RegistryError,
    check_keys,
    check_registry,
    is_key,
)
from tests.unit.plugins.plugin_utils.wireguard_world import key, mesh, registry

CASES = int(os.environ.get("WONDER_MESH_CASES", settings().max_examples))
NAMES = st.sampled_from(["a", "b", "c d", "ü"])
# A node's serial counts its changes, so what has the same serial in one history is the same.
ENTRIES = st.builds(
    Entry,
    st.integers(1, 4),
    st.sampled_from([(), ("10.77.0.5",), ("10.77.0.6", "fd77::6")]),
    st.sampled_from(["", key("a"), key("b")]),
)


@st.composite
def registries(draw: st.DrawFn) -> Registry:
    merged = Registry()
    for name, entry in draw(st.lists(st.tuples(NAMES, ENTRIES), max_size=6)):
        merged = merged.merge(Registry({name: frozenset({entry})}))
    return merged


@settings(max_examples=CASES, deadline=None)
@given(registries(), registries(), registries())
def test_merging_heeds_neither_order_nor_repetition(one: Registry, two: Registry, three: Registry) -> None:
    assert one.merge(two) == two.merge(one)
    assert one.merge(two).merge(three) == one.merge(two.merge(three))
    assert one.merge(one) == one == one.merge(Registry())
    assert one.merge(two).merge(one) == one.merge(two)
    assert one.merge(two).dumps() == two.merge(one).dumps()


@settings(max_examples=CASES, deadline=None)
@given(registries())
def test_what_is_written_is_read_again(one: Registry) -> None:
    assert Registry.parse(one.dumps()) == one


@settings(max_examples=CASES, deadline=None)
@given(st.text(max_size=40) | st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists).map(json.dumps))
def test_other_text_is_refused_and_never_a_stack_trace(text: str) -> None:
    with contextlib.suppress(RegistryError):
        assert Registry.parse(text) == Registry()


def test_the_file_has_a_line_for_each_node_in_order() -> None:
    known = (
        Registry()
        .record("nas", ["10.77.0.5", "fd77::5"], key("nas"))
        .record("edge", ["10.77.0.6"], None)
        .forget("edge")
    )
    entry = f'[{{"addresses": ["10.77.0.5", "fd77::5"], "public_key": "{key("nas")}", "serial": 1}}]'
    assert known.dumps().splitlines() == [
        "{", '  "version": 1,', '  "nodes": {', '    "edge": [{"serial": 2}],', f'    "nas": {entry}', "  }", "}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", '{"version": 2, "nodes": {}}', '{"version": 1}', '{"version": 1, "nodes": {"a": []}}',
        '{"version": 1, "nodes": {"a": [{"serial": 0}]}}', '{"version": 1, "nodes": {"a": [{"serial": true}]}}',
        '{"version": 1, "nodes": {"a": [{"serial": 1, "addresses": ["10.77.0.05"]}]}}',
        '{"version": 1, "nodes": {"a": [{"serial": 1, "public_key": "AAAA"}]}}',
        '{"version": 1, "nodes": {"a": [{"serial": 1, "private_key": "AAAA"}]}}',
        '{"version": 1, "nodes": {"a": [{"serial": 1}, {"serial": 2}]}}',
        '{"version": 1, "nodes": {"a": [{"serial": 1}], "a": [{"serial": 1}]}}',
        "<<<<<<< HEAD\n{}", '{"version": 1, "nodes": {"a": ' + "[" * 100000,
    ],
)  # fmt: skip
def test_a_damaged_registry_is_refused(text: str) -> None:
    with pytest.raises(RegistryError):
        Registry.parse(text)


def test_a_change_wins_over_an_older_copy() -> None:
    old = registry(["nas", "van"])
    new = old.record("nas", [], key("nas, after a new key"))
    assert old.merge(new) == new.merge(old) == new


def test_a_node_that_is_gone_does_not_come_back_from_an_old_copy() -> None:
    old = registry(["nas", "van"])
    merged = old.forget("nas").merge(old)
    assert merged.names() == ["van"]
    assert merged.forget("nas") == merged
    assert merged.record("nas", [], key("nas")).names() == ["nas", "van"]


def test_recording_what_is_known_changes_nothing() -> None:
    known = registry(["nas"]).record("nas", ["10.77.0.5"], None)
    assert known.record("nas", ["10.77.0.5"], key("nas")) is known


def test_two_checkouts_that_disagree_are_a_conflict_until_one_is_right() -> None:
    base = registry(["nas"])
    one, other = base.record("nas", ["10.77.0.5"], None), base.record("nas", ["10.77.0.6"], None)
    merged, problems = one.merge(other), Problems()
    check_registry(merged, problems)
    assert len(problems.lines) == 1
    settled, none = merged.record("nas", ["10.77.0.6"], key("nas")), Problems()
    check_registry(settled.merge(one).merge(other), none)
    assert none.lines == []


def test_a_clone_is_refused_before_it_joins() -> None:
    problems = Problems()
    check_keys(registry(["nas", "van"]), {"nas-2": key("nas")}, problems)
    (line,) = problems.lines
    assert line.startswith(f'nas-2: public key: found "{key("nas")}": nas has the same key')


def test_two_clones_that_come_together_are_refused() -> None:
    problems = Problems()
    check_keys(Registry(), {"a": key("x"), "b": key("x")}, problems)
    assert [line.partition(":")[0] for line in problems.lines] == ["b"]


def test_a_host_with_a_new_key_is_no_clone() -> None:
    problems = Problems()
    check_keys(registry(["nas", "van"]), {"nas": key("new"), "van": key("nas")}, problems)
    assert problems.lines == []


@pytest.mark.parametrize("value", ["", "A" * 43 + "=", "A" * 42 + "B=", key("x")[:-1], key("x") + "\n", None, 7])
def test_what_is_no_public_key_is_refused(value: object) -> None:
    assert not is_key(value)
    assert is_key(key("x"))


def test_addresses_stay_whoever_comes_and_goes() -> None:
    first = mesh()
    known = registry([])
    for node in first.nodes.values():
        known = known.record(node.name, node.addresses, key(node.name))
    more = {f"new-{number}": {"mesh_nat": "easy"} for number in range(20)}
    again = mesh(more, known=known)
    assert {name: again.nodes[name].addresses for name in first.nodes} == {
        name: node.addresses for name, node in first.nodes.items()
    }


def test_a_new_node_gets_no_address_of_one_that_is_away() -> None:
    small = {"wireguard_prefix_v4": "10.77.0.0/28", "wireguard_prefix_v6": ""}
    away = registry([]).record("away-1", ["10.77.0.1"], key("away-1")).record("away-2", ["10.77.0.2"], key("away-2"))
    taken = {address for node in mesh(everywhere=small, known=away).nodes.values() for address in node.addresses}
    assert not taken & {"10.77.0.1", "10.77.0.2"}


def test_a_given_address_wins_over_that_of_the_registry() -> None:
    known = registry([]).record("nas", ["10.77.0.5", "fd77:6d65:7368::5"], key("nas"))
    found = mesh({"nas": {"wireguard_address_v4": "10.77.0.9"}}, known=known).nodes["nas"]
    assert found.addresses == ("10.77.0.9", "fd77:6d65:7368::5")
