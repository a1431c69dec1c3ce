# SPDX-License-Identifier: MIT
"""Runs in the environment of wg-meshconf: makes all configurations of a mesh with it, and says what that took.

    run_wg_meshconf.py ADDRESSES.json FOLDER

The file lists each node's name, addresses with length and endpoint. Into the folder go the configurations, and
``answer.json`` with the public keys by name and the CPU seconds of its ``genconfig`` alone.
"""

from __future__ import annotations

import json
import pathlib
import sys
import time

from wg_meshconf.database_manager import DatabaseManager


def main(addresses: str, folder: str) -> None:
    nodes = json.loads(pathlib.Path(addresses).read_text(encoding="utf-8"))
    place = pathlib.Path(folder)
    manager = DatabaseManager(place / "database.csv")
    keys = {node["name"]: manager.wireguard.genkey() for node in nodes}
    peers = {
        node["name"]: {
            "Name": node["name"],
            "Address": node["addresses"],
            "Endpoint": node["endpoint"],
            "ListenPort": 51820,
            "PrivateKey": keys[node["name"]],
        }
        for node in nodes
    }
    manager.write_database({"peers": peers})
    before = time.process_time()
    manager.genconfig(None, place / "configurations")
    answer = {
        "cpu": time.process_time() - before,
        "keys": {name: manager.wireguard.pubkey(key) for name, key in keys.items()},
    }
    (place / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


main(*sys.argv[1:])
