# SPDX-License-Identifier: MIT
"""Services that are no HTTP on plain WireGuard, where no resolver knows the nodes and each node has its own rules."""

from __future__ import annotations

from ansible_collections.wonder.mesh.plugins.filter.caddy_config import caddy_config
from ansible_collections.wonder.mesh.plugins.filter.wireguard_rules import wireguard_rules
from tests.unit.plugins.plugin_utils.wireguard_world import model

DB = {"name": "db", "protocol": "tcp", "port": "5432-5440"}
GAME = {"name": "game", "protocol": "udp", "port": 9999}
SERVING = {"nas": {"mesh_services": [DB, GAME]}}


def test_a_gateway_dials_the_address_of_the_node() -> None:
    found = model(SERVING)
    address = found["wireguard"]["nodes"]["nas"]["addresses"][0]
    shown = f"[{address}]" if ":" in address else address
    servers = caddy_config(found, "hub-1")["apps"]["layer4"]["servers"]
    dials = {
        name: each["routes"][0]["handle"][0]["upstreams"][0]["dial"]
        for name, each in servers.items()
        if name in ("tcp-5433", "udp-9999")
    }
    assert dials == {"tcp-5433": [f"tcp/{shown}:5433"], "udp-9999": [f"udp/{shown}:9999"]}


def test_a_node_lets_gateways_in_by_the_service_s_protocol() -> None:
    rules = wireguard_rules(model(SERVING), "nas")["input"]
    assert [rule["ports"] for rule in rules if "udp:9999" in rule["ports"]] == [["tcp:5432-5440", "udp:9999"]]
