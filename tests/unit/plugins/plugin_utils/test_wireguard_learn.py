# SPDX-License-Identifier: MIT

"""What a run learns by looking at hosts: nothing is lost, and a clone is noticed before anything is changed."""

from __future__ import annotations

import itertools
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.filter.wireguard_peers import wireguard_peers
from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_learn import Learnt, Look, key_to_come, learn
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_registry import Registry
from tests.unit.plugins.plugin_utils.wireguard_world import HOSTS, HUBS, changed, key

SIX = sorted(HOSTS)[:6]


def run(known: Registry, looks: dict[str, Look], names: t.Iterable[str] = HOSTS, foretold: bool = False) -> Learnt:
    hosts = {
        name: each
        for name, each in changed(None, {"mesh_backend": "wireguard", "mesh_domain": "mesh.example.com"}).items()
        if name in set(names)
    }
    inventory = Inventory.of({"nodes": list(hosts), "gateways": [hub for hub in HUBS if hub in hosts]}, hosts)
    return learn(inventory, known, looks, foretold=foretold)


def whole(names: t.Iterable[str] = HOSTS) -> Registry:
    """As it is after a first run that reached everybody."""
    return run(Registry(), {name: Look(key(name)) for name in names}, names).registry


def peers(learnt: Learnt, name: str) -> list[str]:
    assert learnt.outcome.model is not None, learnt.outcome.problems
    return [each["name"] for each in wireguard_peers(learnt.outcome.model["wireguard"], name)["peers"]]


def test_a_first_run_knows_every_key_and_address() -> None:
    registry = whole()
    for name in HOSTS:
        entry = registry.get(name)
        assert entry is not None
        assert (entry.public_key, len(entry.addresses)) == (key(name), 2)


def test_a_second_run_learns_nothing() -> None:
    registry = whole()
    again = run(registry, {name: Look(key(name), registry=registry.dumps()) for name in HOSTS})
    assert again.registry.dumps() == registry.dumps()


@pytest.mark.parametrize("size", range(7))
def test_limit_to_any_subset_of_six_nodes_loses_no_peer(size: int) -> None:
    """All 64 subsets. Whoever is not called, be it down or outside --limit, is a peer as before."""
    known = whole(SIX)
    complete = {name: peers(run(known, {}, SIX), name) for name in SIX}
    for called in itertools.combinations(SIX, size):
        learnt = run(known, {name: Look(key(name), registry=known.dumps()) for name in called}, SIX)
        assert {name: peers(learnt, name) for name in SIX} == complete
        assert learnt.registry.dumps() == known.dumps()


@pytest.mark.parametrize("size", range(1, 7))
def test_another_checkout_learns_all_from_any_node(size: int) -> None:
    """Without the controller's file, the copy on one node is enough."""
    known = whole(SIX)
    for called in itertools.combinations(SIX, size):
        learnt = run(Registry(), {name: Look(key(name), registry=known.dumps()) for name in called}, SIX)
        assert learnt.registry.dumps() == known.dumps()
        assert learnt.is_established


def test_nodes_that_join_one_after_the_other_all_meet() -> None:
    known = Registry()
    for name in SIX:
        known = run(known, {name: Look(key(name))}, SIX).registry
    assert run(known, {}, SIX).registry.dumps() == known.dumps()
    assert peers(run(known, {}, SIX), "hub-1") == [name for name in SIX if name != "hub-1"]


def test_a_cloned_machine_is_refused_by_its_key() -> None:
    learnt = run(whole(), {"nas": Look(key("van"))})
    assert learnt.outcome.model is None
    assert learnt.outcome.problems == [
        f'nas: public key: found "{key("van")}": van has the same key, as if one were made from the other\'s image. '
        "Have a new key made on the copy (regenerate: always); if van was renamed, forget it in the registry."
    ]


def test_two_new_machines_of_one_image_are_refused() -> None:
    learnt = run(Registry(), {"nas": Look(key("image")), "van": Look(key("image"))})
    assert "nas has the same key" in "\n".join(learnt.outcome.problems)


def test_a_machine_that_was_installed_anew_gets_its_new_key_known() -> None:
    learnt = run(whole(), {"nas": Look(key("nas again"))})
    entry, before = learnt.registry.get("nas"), whole().get("nas")
    assert entry is not None
    assert before is not None
    assert (entry.public_key, entry.addresses) == (key("nas again"), before.addresses)
    assert entry.serial > before.serial


def test_a_damaged_key_ends_the_run_by_name() -> None:
    learnt = run(whole(), {"nas": Look(error="/etc/wonder-mesh/wireguard/wm0.key holds no key")})
    assert learnt.outcome.problems == ["nas: wireguard key: /etc/wonder-mesh/wireguard/wm0.key holds no key"]


def test_a_damaged_copy_on_a_node_is_left_out_with_a_warning() -> None:
    known = whole()
    learnt = run(known, {"nas": Look(key("nas"), registry="{torn")})
    assert learnt.registry.dumps() == known.dumps()
    assert learnt.warnings[0].startswith("nas: the copy of the registry there is left out")


def test_a_check_foretells_the_peers_that_come() -> None:
    known = whole(SIX[:5])
    looks = {name: Look(key(name)) for name in SIX[:5]} | {SIX[5]: Look()}
    assert SIX[5] not in peers(run(known, looks, SIX), "hub-1")
    foretold = run(known, looks, SIX, foretold=True)
    assert SIX[5] in peers(foretold, "hub-1")
    assert foretold.registry.get(SIX[5]).public_key == key_to_come(SIX[5])  # type: ignore[union-attr]


def test_tailscale_besides_is_taken_into_account() -> None:
    hosts = changed(
        None, {"mesh_backend": "wireguard", "mesh_domain": "mesh.example.com", "wireguard_prefix_v4": "100.64.0.0/16"}
    )
    inventory = Inventory.of({"nodes": list(hosts), "gateways": HUBS}, hosts)
    assert learn(inventory, Registry(), {"nas": Look(key("nas"))}).outcome.problems == []
    problems = learn(inventory, Registry(), {"nas": Look(key("nas"), tailscale=True)}).outcome.problems
    assert "nas has Tailscale" in "\n".join(problems)


def test_a_firewall_that_forwards_nothing_is_named_where_the_host_must() -> None:
    looks = {name: Look(key(name), obstacles=("ip filter FORWARD",)) for name in ("hub-1", "nas")}
    (warning,) = run(whole(), looks).warnings
    assert warning.startswith("hub-1: its firewall drops by default what the host forwards (ip filter FORWARD)")
