# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.wonder.mesh.plugins.plugin_utils._verdict import judge
from tests.unit.plugins.plugin_utils.mesh_world import changed, measure, model

ROOT = Path(__file__).resolve().parents[4]
SCHEMA = json.loads((ROOT / "docs" / "result.schema.json").read_text())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["node", "peers", "connections", "answers", "urls", "ports", "mappings", "failed", "msg"]


def check(result: dict[str, t.Any]) -> dict[str, t.Any]:
    """Whatever was measured: the published shape, and no broken promise without a problem or the other way round."""
    jsonschema.validate(result, SCHEMA, cls=jsonschema.Draft202012Validator)
    broken = [each for key in ("paths", "services", "refusals", "grants", "ports") for each in result[key]]
    assert not result["ok"] or all(each["ok"] is not False for each in broken)
    assert result["ok"] == (not result["problems"])
    return result


def find(entries: list[dict[str, t.Any]], **wanted: t.Any) -> dict[str, t.Any]:
    found = [entry for entry in entries if all(entry[key] == value for key, value in wanted.items())]
    assert len(found) == 1, found
    return found[0]


@pytest.fixture
def mesh() -> t.Any:
    return model()


@pytest.fixture
def healthy(mesh: t.Any) -> dict[str, t.Any]:
    return measure(mesh)


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_healthy_mesh_keeps_all_promises(mesh: t.Any, healthy: dict[str, t.Any]) -> None:
    result = check(judge(mesh, healthy, strict=True))
    assert result["problems"] == []
    assert result["not_measured"] == []
    assert len(result["paths"]) == 20
    for key in ("paths", "services", "refusals", "grants", "ports"):
        assert result[key], key
        assert all(each["ok"] for each in result[key]), key
    assert find(result["nodes"], name="edge")["address"] == "100.64.0.1"


def test_each_connection_is_either_granted_or_refused(mesh: t.Any, healthy: dict[str, t.Any]) -> None:
    result = judge(mesh, healthy)
    ssh = [(each["from"], each["to"]) for each in result["grants"] if each["what"] == "SSH"]
    assert ssh == [("laptop", to) for to in ("edge", "mini-1", "mini-2", "nas")]
    to_service = [(each["from"], each["to"]) for each in result["grants"] if each["what"] == "service hello"]
    assert to_service == [("edge", "mini-1"), ("edge", "mini-2")]
    refused = {(each["from"], each["to"], each["port"]) for each in result["refusals"]}
    assert {("mini-1", "nas", 22), ("laptop", "mini-1", 8000), ("stranger", "hub", 9090)} <= refused
    assert len(result["grants"]) + len(result["refusals"]) == 20 + 8 + 4 + 5


def test_an_open_policy_turns_the_refusals_red(mesh: t.Any) -> None:
    result = check(judge(mesh, measure(mesh, wide_open=True)))
    assert not result["ok"]
    assert all(each["ok"] is False for each in result["refusals"] if each["from"] != "stranger")
    assert "mini-1 reaches SSH on nas (port 22), which nothing allows" in result["problems"]


def test_a_port_that_does_not_listen_is_no_refusal(mesh: t.Any, healthy: dict[str, t.Any]) -> None:
    measured = changed(healthy, "nas", "answers", value=[{"port": 22, "open": False}])
    result = check(judge(mesh, measured))
    assert find(result["refusals"], **{"from": "mini-1"}, to="nas", port=22)["ok"] is None
    assert any("nothing listens on port 22 of nas" in line for line in result["not_measured"])


def test_an_unreached_host_refuses_nothing(mesh: t.Any, healthy: dict[str, t.Any]) -> None:
    peers = [{**peer, "carried": peer["name"] != "nas"} for peer in healthy["mini-1"]["peers"]]
    result = check(judge(mesh, changed(healthy, "mini-1", "peers", value=peers)))
    assert find(result["refusals"], **{"from": "mini-1"}, to="nas", port=22)["ok"] is None
    assert find(result["paths"], **{"from": "mini-1"}, to="nas")["observed"] == "none"
    assert any(line.startswith("mini-1 does not reach nas") for line in result["problems"])


@pytest.mark.parametrize("lost", [None, {"failed": True, "msg": "no python"}, "what?"])
def test_an_unreachable_host_is_named_and_the_others_are_judged(
    mesh: t.Any, healthy: dict[str, t.Any], lost: t.Any
) -> None:
    result = check(judge(mesh, healthy | {"nas": lost}))
    assert not result["ok"]
    assert [line for line in result["problems"] if not line.startswith("nas was not measured")] == []
    with_nas = [path for path in result["paths"] if "nas" in (path["from"], path["to"])]
    assert {(path["observed"], path["ok"]) for path in with_nas} == {("not measured", None)}
    assert all(path["ok"] for path in result["paths"] if path not in with_nas)
    assert all(each["ok"] is None for each in result["refusals"] if "nas" in (each["from"], each["to"]))


def test_hosts_outside_the_limit_do_not_count(mesh: t.Any, healthy: dict[str, t.Any]) -> None:
    result = check(judge(mesh, {"mini-1": healthy["mini-1"]}, strict=True))
    assert result["ok"]
    assert sum(path["ok"] is True for path in result["paths"]) == 4
    assert find(result["paths"], **{"from": "nas"}, to="mini-1")["observed"] == "not measured"
    assert find(result["services"], name="hello")["ok"] is None
    assert find(result["refusals"], **{"from": "mini-1"}, to="nas", port=22)["ok"] is None
    assert "nas: outside --limit" in result["not_measured"]


def test_a_node_outside_the_limit_that_is_not_there_yet_breaks_no_promise(
    mesh: t.Any, healthy: dict[str, t.Any]
) -> None:
    """The first of two runs, one in each home: nas joins in the second."""
    measured = {name: healthy[name] for name in ("edge", "mini-1", "mini-2", "stranger")}
    for name in ("edge", "mini-1", "mini-2"):
        for peer in measured[name]["peers"]:
            if peer["name"] in ("nas", "laptop"):
                peer.update(carried=False, path="unknown", error="tailscaled knows no such peer")
        for each in measured[name]["connections"]:
            if each["to"] in ("nas", "laptop"):
                each["outcome"] = "error"
    result = check(judge(mesh, measured, strict=True))
    assert result["ok"]
    assert find(result["paths"], **{"from": "edge"}, to="nas") | {"latency_ms": None} == {
        "from": "edge", "to": "nas", "predicted": "direct", "observed": "not measured", "latency_ms": None, "ok": None,
    }  # fmt: skip
    assert any("edge does not reach nas, which is outside --limit" in line for line in result["warnings"])


def test_an_open_port_is_seen_also_on_a_host_outside_the_limit(mesh: t.Any) -> None:
    result = check(judge(mesh, {"mini-1": measure(mesh, wide_open=True)["mini-1"]}))
    assert find(result["refusals"], **{"from": "mini-1"}, to="nas", port=22)["ok"] is False


@pytest.mark.parametrize(("strict", "ok"), [(True, False), (False, True)])
def test_another_path_than_predicted(mesh: t.Any, healthy: dict[str, t.Any], strict: bool, ok: bool) -> None:
    measured = changed(healthy, "edge", "peers", 1, "path", value="relay")
    result = check(judge(mesh, measured, strict=strict))
    assert result["ok"] is ok
    line = next(iter(result["problems"] if strict else result["warnings"]))
    assert line.startswith("edge reaches mini-1 by a relay, not a direct path: a firewall drops UDP at edge or mini-1")


@pytest.mark.parametrize(
    ("seen", "to_public", "to_easy", "to_hard"),
    [
        (["192.0.2.9 1", "192.0.2.9 1"], "direct", "direct", "unknown"),  # easy or full-cone
        (["192.0.2.9 1", "192.0.2.9 2"], "direct", "relay", "relay"),
        (["", ""], "relay", "relay", "relay"),
        (["192.0.2.9 1", ""], "unknown", "unknown", "unknown"),
        (["192.0.2.9 1"], "unknown", "unknown", "unknown"),
        ([], "unknown", "unknown", "unknown"),
    ],
)
def test_what_an_unknown_nat_does_is_foretold_from_its_mappings(
    seen: list[str], to_public: str, to_easy: str, to_hard: str
) -> None:
    mesh = model(hosts={"laptop": {"mesh_nat": "auto"}})
    measured = changed(measure(mesh), "laptop", "mappings", value=[{"seen": each} for each in seen])
    result = check(judge(mesh, measured))
    found = {to: find(result["paths"], **{"from": "laptop"}, to=to)["predicted"] for to in ("edge", "mini-1", "nas")}
    assert found == {"edge": to_public, "mini-1": to_easy, "nas": to_hard}
    back = {to: find(result["paths"], to="laptop", **{"from": to})["predicted"] for to in ("edge", "mini-1", "nas")}
    assert back == found


def test_a_peer_relay_is_as_good_as_a_relay(mesh: t.Any, healthy: dict[str, t.Any]) -> None:
    names = [peer["name"] for peer in healthy["mini-1"]["peers"]]
    measured = changed(healthy, "mini-1", "peers", names.index("nas"), "path", value="peer-relay")
    assert check(judge(mesh, measured, strict=True))["ok"]


def test_a_node_that_is_not_in_the_mesh_is_one_problem(mesh: t.Any, healthy: dict[str, t.Any]) -> None:
    measured = dict(healthy)
    for name in mesh["nodes"]:
        peers = [{**p, "carried": "nas" not in (name, p["name"])} for p in healthy[name]["peers"]]
        connections = [
            {**c, "outcome": "error" if "nas" in (name, c["to"]) else c["outcome"]}
            for c in healthy[name]["connections"]
        ]
        measured[name] = healthy[name] | {"peers": peers, "connections": connections}
    measured["nas"]["node"] = {"addresses": [], "dns": "", "state": "NeedsLogin"}
    result = check(judge(mesh, measured))
    assert result["problems"] == ["nas is not in the mesh: its tailscaled is NeedsLogin"]
    assert find(result["paths"], **{"from": "nas"}, to="edge")["ok"] is False


def test_a_granted_port_that_does_not_open_says_why(mesh: t.Any, healthy: dict[str, t.Any]) -> None:
    connections = [
        {**each, "outcome": "refused"} if each["to"] == "mini-1" else each for each in healthy["edge"]["connections"]
    ]
    measured = changed(healthy, "edge", "connections", value=connections)
    measured = changed(measured, "mini-1", "answers", value=[{"port": 22, "open": True}, {"port": 8000, "open": False}])
    result = check(judge(mesh, measured))
    assert result["problems"] == [
        "edge may reach service hello on mini-1 and cannot: nothing listens on port 8000 of its mesh address"
    ]


def test_a_grant_for_a_port_without_a_program_is_not_measured() -> None:
    mesh = model(everywhere={"mesh_grants": [{"from": ["nas"], "to": ["mini-1"], "ports": ["tcp:445"]}]})
    measured = measure(mesh)
    for answer in measured["mini-1"]["answers"]:
        answer["open"] = answer["port"] != 445
    for each in measured["nas"]["connections"]:
        each["outcome"] = "refused" if each["port"] == 445 else each["outcome"]
    result = check(judge(mesh, measured))
    assert result["ok"]
    assert find(result["grants"], port=445)["ok"] is None


@pytest.mark.parametrize(("status", "ok"), [(200, True), (302, True), (401, False), (502, False), (None, False)])
def test_a_service_is_served_with_a_good_status(
    mesh: t.Any, healthy: dict[str, t.Any], status: int | None, ok: bool
) -> None:
    result = check(judge(mesh, changed(healthy, "stranger", "urls", 0, "status", value=status)))
    assert find(result["services"], name="hello") == {
        "name": "hello", "url": "https://hello.example.com/", "from": "stranger", "status": status, "subject": None,
        "ok": ok,
    }  # fmt: skip
    assert result["ok"] is ok
    assert ok or "mini-1:8000 listens" in result["problems"][0]


def test_a_control_api_that_answers_is_a_broken_promise(mesh: t.Any, healthy: dict[str, t.Any]) -> None:
    for status in (200, 401, 403, 502):
        result = check(judge(mesh, changed(healthy, "stranger", "urls", 2, "status", value=status)))
        assert find(result["refusals"], what="control plane /api/v1/node")["ok"] is False
    result = check(judge(mesh, changed(healthy, "stranger", "ports", 4, "open", value=True)))
    assert find(result["refusals"], port=9090)["ok"] is False


def test_a_dead_control_plane_refuses_nothing(mesh: t.Any, healthy: dict[str, t.Any]) -> None:
    result = check(judge(mesh, changed(healthy, "stranger", "urls", 1, "status", value=502)))
    assert not result["ok"]
    assert {each["ok"] for each in result["refusals"] if each["from"] == "stranger"} == {None}


def test_a_closed_public_port_names_what_to_open(mesh: t.Any, healthy: dict[str, t.Any]) -> None:
    result = check(judge(mesh, changed(healthy, "stranger", "ports", 2, "open", value=False)))
    assert any("open UDP 3478 in the firewall before hub" in line for line in result["problems"])


def test_the_controller_is_the_stranger_where_there_is_none() -> None:
    mesh = model(groups={"strangers": []})
    measured = measure(mesh)
    controller = measured.pop("controller")
    result = check(judge(mesh, measured, controller))
    assert result["ok"]
    assert {each["from"] for each in result["services"]} == {"controller"}
    assert not check(judge(mesh, measured))["ok"]


def test_one_line_of_a_host_stays_one_line(mesh: t.Any, healthy: dict[str, t.Any]) -> None:
    result = judge(mesh, healthy | {"nas": {"failed": True, "msg": "lost\nall is well"}})
    assert not any("\n" in line for line in result["problems"] + result["not_measured"])


@settings(deadline=None)
@given(raw=st.dictionaries(st.sampled_from(KEYS), JSON) | JSON, name=st.sampled_from(["nas", "edge", "stranger"]))
def test_whatever_a_host_says_gives_a_result(raw: t.Any, name: str) -> None:
    mesh = model()
    check(judge(mesh, measure(mesh) | {name: raw}, raw))


@settings(deadline=None)
@given(data=st.data())
def test_an_odd_entry_of_a_measurement_gives_a_result(data: st.DataObject) -> None:
    mesh = model()
    measured = measure(mesh)
    name = data.draw(st.sampled_from(sorted(measured)))
    key = data.draw(st.sampled_from([key for key in KEYS[1:6] if measured[name][key]]))
    entry = data.draw(st.sampled_from(measured[name][key]))
    entry[data.draw(st.sampled_from(sorted(entry)))] = data.draw(JSON)
    check(judge(mesh, measured, strict=data.draw(st.booleans())))
