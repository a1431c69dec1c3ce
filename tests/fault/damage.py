# SPDX-License-Identifier: MIT
"""Damage to a configuration: what a disk, a wire, a bad merge or a wrong hand makes of it."""

from __future__ import annotations

import copy
import json
import typing as t

if t.TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    Path = tuple[t.Any, ...]

# Keys whose values name a module of Caddy, and those that name files.
MODULES = frozenset({"handler", "wrapper", "provider", "policy", "protocol"})
FILES = frozenset({"certificate", "key"})
OPTIONAL = ("ipv4", "ipv6", "certname")  # of a relay in a map


class Damaged(t.NamedTuple):
    """The damaged text. arrives: whether it is what was sent; else it was damaged on its way."""

    what: str
    text: bytes
    arrives: bool = True


def damaged(config: t.Any, rng: random.Random) -> Damaged:
    """One of the ways, and one of the places."""
    kind = rng.choice((flipped, truncated, wrong_type, unknown, dangling))
    return kind(config, rng)


def flipped(config: t.Any, rng: random.Random) -> Damaged:
    """Some bits on the way to the host."""
    return flipped_bytes(json.dumps(config).encode(), rng)


def flipped_bytes(content: bytes, rng: random.Random) -> Damaged:
    text = bytearray(content)
    places = rng.sample(range(len(text)), rng.randint(1, 8))
    for each in places:
        text[each] ^= 1 << rng.randrange(8)
    return Damaged(f"bits flipped at {places}", bytes(text), arrives=False)


def truncated(config: t.Any, rng: random.Random) -> Damaged:
    return truncated_bytes(json.dumps(config).encode(), rng)


def truncated_bytes(text: bytes, rng: random.Random) -> Damaged:
    length = rng.randrange(1, len(text) - 1)
    return Damaged(f"cut after {length} bytes", text[:length])


def wrong_type(config: t.Any, rng: random.Random) -> Damaged:
    """A text, a number or a list becomes a mapping with something in it, and a mapping a text."""
    copied = copy.deepcopy(config)
    path = rng.choice([path for path, _ in values(copied) if path and path[-1] != "status_code"])
    put(copied, path, "damaged" if isinstance(at(copied, path), dict) else {"damaged": [0]})
    return Damaged(f"wrong type at {path}", json.dumps(copied).encode())


def unknown(config: t.Any, rng: random.Random) -> Damaged:
    """A module that there is not."""
    copied = copy.deepcopy(config)
    path = rng.choice([path for path, value in values(copied) if path and is_module(path, value)])
    put(copied, path, f"{at(copied, path)}x")
    return Damaged(f"unknown module at {path}", json.dumps(copied).encode())


def dangling(config: t.Any, rng: random.Random) -> Damaged:
    """A file that there is not."""
    copied = copy.deepcopy(config)
    path = rng.choice([path for path, value in values(copied) if path and is_file(path, value)])
    put(copied, path, str(at(copied, path)).replace(".", "-gone.").replace("user-", "gone-"))
    return Damaged(f"dangling at {path}", json.dumps(copied).encode())


def damaged_policy(policy: t.Any, rng: random.Random) -> tuple[str, t.Any]:
    """Of a wrong type, with a key that there is not, without a part, or with a name that leads nowhere.

    Its tests are no rules, and one of a tag that no node has cannot be run: of those only types are damaged. Without
    its nodeAttrs, or its SSH rules for nobody, it is as good a policy as before.
    """
    copied = copy.deepcopy(policy)
    everywhere = [(path, value) for path, value in values(copied) if path]
    rules = [(path, value) for path, value in everywhere if path[0] not in ("tests", "sshTests", "nodeAttrs")]
    kind = rng.choice(("wrong type", "unknown key", "missing", "dangling"))
    if kind == "wrong type":
        path, value = rng.choice(everywhere)
        put(copied, path, "damaged" if isinstance(value, dict) else {"damaged": [0]})
    elif kind == "unknown key":
        path = rng.choice([path for path, value in rules if isinstance(value, dict)])
        at(copied, path)["damaged"] = ["*"]
    elif kind == "missing":
        parts = [path for path, _ in rules if path != ("ssh",)]
        path = rng.choice([path for path in parts if len(path) == 1 or (path[0] == "grants" and len(path) == 2)])
        del at(copied, path[:-1])[path[-1]]
    else:
        path, value = rng.choice([each for each in rules if isinstance(each[1], str) and "tag:" in each[1]])
        put(copied, path, value.replace("tag:", "tag:gone-"))
    return f"{kind} at {path}", copied


def damaged_regions(regions: t.Any, rng: random.Random) -> tuple[str, t.Any]:
    """Of a wrong type, with a key too many or too few, with a value that cannot be, or none, one twice or no order."""
    copied = copy.deepcopy(regions)
    everywhere = [(path, value) for path, value in values(copied) if path]
    kind = rng.choice(("wrong type", "unknown key", "missing", "impossible", "list"))
    path, value = rng.choice(everywhere)
    if kind == "wrong type":
        put(copied, path, "damaged" if isinstance(value, dict) else {"damaged": [0]})
    elif kind == "unknown key":
        path = rng.choice([path for path, value in everywhere if isinstance(value, dict)])
        at(copied, path)[rng.choice(("RegionID", "insecurefortests", "damaged"))] = 917
    elif kind == "missing":
        path = rng.choice([path for path, _ in everywhere if path[-1] not in (*OPTIONAL, 0, 1)])
        del at(copied, path[:-1])[path[-1]]
    elif kind == "impossible":
        path, value = rng.choice([each for each in everywhere if not isinstance(each[1], (dict, list))])
        put(copied, path, f"{value} gone" if isinstance(value, str) else (not value) * 65536)
    else:
        copied = rng.choice(([], [*copied, copied[0]], copied[::-1]))
    return f"{kind} at {path}", copied


def damaged_limits(limits: t.Any, rng: random.Random) -> Damaged:
    """Of a relay: what is no JSON, or no number of bytes."""
    key, text = next(iter(limits)), json.dumps(limits)
    wrong = rng.choice((0, -1, 1.5, "1000", None, True, [1000], {"damaged": 0}))
    another = rng.choice(({key: wrong}, {f"{key}x": 1000}, {**limits, "damaged": 1}, {}, [limits], wrong))
    return rng.choice(
        (Damaged(f"{another}", json.dumps(another).encode()), Damaged("cut", text[: rng.randrange(len(text))].encode()))
    )


def is_module(path: Path, value: object) -> bool:
    # A transport has the protocol that it speaks.
    return path[-1] in MODULES and isinstance(value, str)


def is_file(path: Path, value: object) -> bool:
    text = str(value)
    return isinstance(value, str) and (path[-1] in FILES or text.startswith("{file.") or "pem_files" in path)


def values(data: t.Any, path: Path = ()) -> Iterator[tuple[Path, t.Any]]:
    """All values, also those that hold others."""
    yield path, data
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, each in items:
        yield from values(each, (*path, key))


def at(data: t.Any, path: Path) -> t.Any:
    for key in path:
        data = data[key]
    return data


def put(data: t.Any, path: Path, value: t.Any) -> None:
    at(data, path[:-1])[path[-1]] = value
