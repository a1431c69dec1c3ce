# SPDX-License-Identifier: MIT
"""What tailscaled leaves behind goes, and nothing else: with a kernel that is a dictionary. A fleet has a real one."""

from __future__ import annotations

import importlib.util
import json
import socket
import struct
import types
import typing as t
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[4] / "roles/tailscaled/files/tailscaled_traces.py"
IPV4, IPV6 = 2, 10
ACCEPT, DROP = 1, 0


class Kernel:
    """Tables with their chains: each chain's policy and its number of rules."""

    def __init__(self, traces: types.ModuleType, setting: Path) -> None:
        self._traces, self.setting = traces, setting
        self.tables: dict[tuple[int, str], dict[str, tuple[int | None, int]]] = {}
        self.sets: set[tuple[int, str]] = set()

    def dump(self, kind: int) -> list[tuple[int, dict[int, bytes]]]:
        if kind == self._traces.GET_TABLE:
            return [
                (name[0], {1: name[1].encode() + b"\0", 3: struct.pack("!I", len(chains) + (name in self.sets))})
                for name, chains in self.tables.items()
            ]
        return [
            (family, self._chain(table, chain, *values))
            for (family, table), chains in self.tables.items()
            for chain, values in chains.items()
        ]

    def _chain(self, table: str, chain: str, policy: int | None, rules: int) -> dict[int, bytes]:
        found = {1: table.encode() + b"\0", 3: chain.encode() + b"\0", 6: struct.pack("!I", rules)}
        return found if policy is None else found | {5: struct.pack("!I", policy)}

    def delete(self, kind: int, family: int, names: dict[int, str]) -> None:
        if kind == self._traces.DELETE_TABLE:
            del self.tables[family, names[1]]
        else:
            del self.tables[family, names[1]][names[3]]


@pytest.fixture
def traces() -> types.ModuleType:
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("tailscaled_traces", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def kernel(traces: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel(traces, tmp_path / "src_valid_mark")
    kernel.setting.write_text("0\n")
    monkeypatch.setattr(traces, "SETTING", str(kernel.setting))
    monkeypatch.setattr(traces, "dump", kernel.dump)
    monkeypatch.setattr(traces, "delete", kernel.delete)
    return kernel


@pytest.fixture
def run(traces: types.ModuleType, tmp_path: Path) -> t.Callable[[str], None]:
    return lambda verb: traces.main(verb, str(tmp_path / "traces.json"))


def test_what_was_not_there_before_goes(kernel: Kernel, run: t.Callable[[str], None]) -> None:
    run("save")
    kernel.setting.write_text("1\n")
    kernel.tables = {(IPV4, "filter"): {"INPUT": (ACCEPT, 0), "ts": (None, 0)}, (IPV6, "nat"): {}}
    run("restore")
    assert (kernel.setting.read_text(), kernel.tables) == ("0", {})


def test_what_was_there_before_stays_though_it_is_empty(kernel: Kernel, run: t.Callable[[str], None]) -> None:
    kernel.setting.write_text("1\n")
    kernel.tables = {(IPV4, "filter"): {"INPUT": (ACCEPT, 0)}, (IPV4, "mine"): {}}
    run("save")
    kernel.tables[IPV4, "filter"]["FORWARD"] = (ACCEPT, 0)
    run("restore")
    assert kernel.tables == {(IPV4, "filter"): {"INPUT": (ACCEPT, 0)}, (IPV4, "mine"): {}}
    assert kernel.setting.read_text() == "1\n"


def test_what_others_have_put_there_meanwhile_stays(kernel: Kernel, run: t.Callable[[str], None]) -> None:
    run("save")
    others = {"DOCKER": (ACCEPT, 3), "closed": (DROP, 0)}
    kernel.tables = {(IPV4, "filter"): {"INPUT": (ACCEPT, 0), **others}, (IPV4, "sets"): {}}
    kernel.sets = {(IPV4, "sets")}
    run("restore")
    assert kernel.tables == {(IPV4, "filter"): others, (IPV4, "sets"): {}}


def test_without_a_record_nothing_is_touched(kernel: Kernel, run: t.Callable[[str], None]) -> None:
    kernel.setting.write_text("1\n")
    kernel.tables = {(IPV4, "filter"): {}}
    run("restore")
    assert (kernel.setting.read_text(), kernel.tables) == ("1\n", {(IPV4, "filter"): {}})


def test_the_record_can_be_read(kernel: Kernel, run: t.Callable[[str], None], tmp_path: Path) -> None:
    kernel.tables = {(IPV4, "filter"): {"INPUT": (ACCEPT, 0)}}
    run("save")
    expected = {"setting": "0", "tables": [[IPV4, "filter"]], "chains": [[IPV4, "filter", "INPUT"]]}
    assert json.loads((tmp_path / "traces.json").read_text()) == expected


def test_a_message_is_as_netlink_wants_it(traces: types.ModuleType) -> None:
    sent = traces.message(traces.DELETE_TABLE, 5, traces.NFTABLES, IPV4, {1: "nat"})
    assert len(sent) % 4 == 0
    [(kind, body)] = traces.split(sent)
    assert (kind, body[0], traces.attributes_of(body[4:])) == (10 << 8 | 2, IPV4, {1: b"nat\0"})


def test_names_of_any_length_stay_aligned(traces: types.ModuleType) -> None:
    sent = traces.message(traces.DELETE_CHAIN, 5, traces.NFTABLES, socket.AF_INET, {1: "filter", 3: "INPUT"})
    [(_kind, body)] = traces.split(sent)
    assert traces.attributes_of(body[4:]) == {1: b"filter\0", 3: b"INPUT\0"}
