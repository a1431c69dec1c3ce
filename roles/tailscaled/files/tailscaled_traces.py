#!/usr/bin/env python3
# SPDX-License-Identifier: MIT

"""What ``tailscaled --cleanup`` leaves behind: a kernel setting, and the empty tables that it hung its rules into.

``save FILE`` before tailscaled starts remembers what is there; ``restore FILE`` after it has stopped takes away what
was not. Of nftables that is only what holds nothing and drops nothing: chains without a rule that accept everything,
and tables without anything in them. So whatever others have put there meanwhile stays. Standard library, since the
host may lack the ``nft`` command; the numbers are those of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import typing as t

SETTING = "/proc/sys/net/ipv4/conf/all/src_valid_mark"

NETLINK_NETFILTER = 12
NFTABLES = 10
GET_TABLE, DELETE_TABLE, GET_CHAIN, DELETE_CHAIN = 1, 2, 4, 5
TABLE_NAME, TABLE_USE = 1, 3
CHAIN_TABLE, CHAIN_NAME, CHAIN_POLICY, CHAIN_USE = 1, 3, 5, 6
ACCEPT = 1
REQUEST, ACKNOWLEDGE, DUMP = 0x1, 0x4, 0x300
ERROR, DONE = 2, 3
BATCH_BEGIN, BATCH_END = 0x10, 0x11
SECONDS = 5  # the kernel answers at once

Attributes = t.Dict[int, bytes]  # noqa: UP006 - evaluated, also by Python 3.9


def main(verb: str, path: str) -> None:
    if verb == "save":
        with open(path, "w", encoding="utf-8") as stream:
            json.dump({"setting": read(SETTING), "tables": list(tables()), "chains": list(chains())}, stream)
    elif os.path.exists(path):
        with open(path, encoding="utf-8") as stream:
            restore(json.load(stream))


def restore(before: dict[str, t.Any]) -> None:
    if before["setting"] != read(SETTING):
        with open(SETTING, "w", encoding="ascii") as stream:
            stream.write(before["setting"])
    for name, found in chains().items():
        if list(name) not in before["chains"] and number(found, CHAIN_USE) == 0 and policy(found) == ACCEPT:
            family, table, chain = name
            delete(DELETE_CHAIN, family, {CHAIN_TABLE: table, CHAIN_NAME: chain})
    for (family, table), found in tables().items():
        if [family, table] not in before["tables"] and number(found, TABLE_USE) == 0:
            delete(DELETE_TABLE, family, {TABLE_NAME: table})


def read(path: str) -> str:
    with open(path, encoding="ascii") as stream:
        return stream.read().strip()


def tables() -> dict[tuple[int, str], Attributes]:
    """The tables by family and name."""
    return {(family, text(found, TABLE_NAME)): found for family, found in dump(GET_TABLE)}


def chains() -> dict[tuple[int, str, str], Attributes]:
    """The chains by family, table and name."""
    return {(family, text(each, CHAIN_TABLE), text(each, CHAIN_NAME)): each for family, each in dump(GET_CHAIN)}


def policy(chain: Attributes) -> int:
    return number(chain, CHAIN_POLICY) if CHAIN_POLICY in chain else ACCEPT


def text(attributes: Attributes, kind: int) -> str:
    return attributes[kind].rstrip(b"\0").decode()


def number(attributes: Attributes, kind: int) -> int:
    return int.from_bytes(attributes.get(kind, b""), "big")


def dump(kind: int) -> list[tuple[int, Attributes]]:
    """All objects of a kind: the family and the attributes of each. None where the kernel has no nftables."""
    found: list[tuple[int, Attributes]] = []
    with connect() as netlink:
        netlink.send(message(kind, REQUEST | DUMP, NFTABLES, socket.AF_UNSPEC, {}))
        while True:
            for answer, body in split(netlink.recv(1 << 20)):
                if answer in (ERROR, DONE):
                    return found
                found.append((body[0], attributes_of(body[4:])))


def delete(kind: int, family: int, names: dict[int, str]) -> None:
    """Delete one object; OSError if the kernel refuses."""
    batch = message(BATCH_BEGIN, REQUEST, 0, socket.AF_UNSPEC, {}, NFTABLES)
    batch += message(kind, REQUEST | ACKNOWLEDGE, NFTABLES, family, names)
    batch += message(BATCH_END, REQUEST, 0, socket.AF_UNSPEC, {}, NFTABLES)
    with connect() as netlink:
        netlink.send(batch)
        for answer, body in split(netlink.recv(1 << 16)):
            status = struct.unpack_from("=i", body)[0] if answer == ERROR else 0
            if status:
                raise OSError(-status, f"{names} cannot be deleted: {os.strerror(-status)}")


def connect() -> socket.socket:
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    netlink.settimeout(SECONDS)
    netlink.bind((0, 0))
    return netlink


def message(kind: int, flags: int, subsystem: int, family: int, names: dict[int, str], resource: int = 0) -> bytes:
    body = struct.pack("!BBH", family, 0, resource)
    for attribute, name in names.items():
        value = name.encode() + b"\0"
        body += struct.pack("=HH", len(value) + 4, attribute) + value + b"\0" * (-len(value) % 4)
    return struct.pack("=IHHII", len(body) + 16, subsystem << 8 | kind, flags, 1, 0) + body


def split(received: bytes) -> list[tuple[int, bytes]]:
    """The netlink messages in what was received: the type and the body of each."""
    found = []
    while len(received) >= 16:
        length, kind = struct.unpack_from("=IH", received)
        found.append((kind, received[16:length]))
        received = received[length + (-length % 4) :]
    return found


def attributes_of(body: bytes) -> Attributes:
    found = {}
    while len(body) >= 4:
        length, kind = struct.unpack_from("=HH", body)
        found[kind & 0x3FFF] = body[4:length]
        body = body[length + (-length % 4) :]
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
