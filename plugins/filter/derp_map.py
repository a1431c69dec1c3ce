# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
name: derp_map
short_description: The map of relays that the coordinator publishes
version_added: 0.1.0
author: The Wonder Mesh authors (@wonder-mesh)
description:
  - Makes a DERP map from the inventory, each relay a region of its own.
  - A relay comes into the map only when this run has found it up, and leaves it with the group C(relays). One that the
    run did not ask, since C(--limit) left it out or it was unreachable, stays in the map just as it is published.
  - Names are written as Headscale reads them.
options:
  _input:
    description: The model that M(wonder.mesh.mesh_model) returns.
    type: dict
    required: true
  up:
    description:
      - What this run knows of the model's C(relays), in their order. V(false) of one that was not found up, else the
        pin of its certificate, or an empty text where the certificate is for a name.
    type: list
    default: []
  published:
    description:
      - The regions that are published, as M(wonder.mesh.headscale_relays_info) returns them.
      - V(null) of a map that is damaged. It is refused while there is a relay that this run did not look at, since only
        the map knew its certificate.
    type: list
    elements: dict
    default: []
  looks:
    description:
      - What M(wonder.mesh.mesh_host_info) said of the model's C(relays), in their order, in place of a damaged map.
        Empty of one that this run did not look at.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Show the map that a run would publish
  ansible.builtin.debug:
    msg: "{{ ansible_facts['mesh'] | wonder.mesh.derp_map([], published.regions) }}"
"""

RETURN = r"""
_value:
  description: The regions, sorted by their numbers. The same input always gives the same bytes.
  type: list
  elements: dict
"""

import typing as t
from collections.abc import Mapping, Sequence

from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.module_utils._derp import file_of
from ansible_collections.wonder.mesh.plugins.module_utils._derp_map import MAP, PIN, MapError, check_region
from ansible_collections.wonder.mesh.plugins.plugin_utils._shape import ShapeError, check_model
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import STUN_PORT
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import several

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model, Relay


def derp_map(
    model: object, up: object = (), published: object = (), looks: Sequence[Mapping[str, t.Any]] = ()
) -> list[dict[str, t.Any]]:
    try:
        mesh = check_model(model)
        pins = _pins(mesh["relays"], up)
        if published is None:
            pins, published = pins | _seen(mesh, [name for name in mesh["relays"] if name not in pins], looks), []
        before = _regions(published)
        regions = []
        for name in mesh["relays"]:
            relay, label = mesh["derp"][name], mesh["hosts"][name]["label"]
            if name in pins:
                regions.append(_region(name, label, relay, pins[name]))
            elif label in before:
                regions.append(_numbered(before[label], relay["region"]))
    except (MapError, ShapeError) as exc:
        raise AnsibleFilterError(f"derp_map: {exc}") from exc
    return sorted(regions, key=lambda region: region["regionid"])


def _region(name: str, label: str, relay: Relay, pin: str) -> dict[str, t.Any]:
    if (relay["certificate"] == "self-made") != bool(PIN.fullmatch(pin)):
        raise ShapeError(f"the relay {name} has a {relay['certificate']} certificate, and the pin {pin!r}")
    node = {
        "name": f"{relay['region']}a",
        "regionid": relay["region"],
        "hostname": relay["hostname"],
        "derpport": relay["port"],
        "stunport": STUN_PORT,
        "canport80": False,
    }
    node |= {
        key: value for key, value in {"ipv4": relay["ipv4"], "ipv6": relay["ipv6"], "certname": pin}.items() if value
    }
    return {"regionid": relay["region"], "regioncode": label, "regionname": label, "nodes": [node]}


def _numbered(region: Mapping[str, t.Any], number: int) -> dict[str, t.Any]:
    """The same under a number that another relay may have had before."""
    nodes = [{**node, "name": f"{number}a", "regionid": number} for node in region["nodes"]]
    return {**region, "regionid": number, "nodes": nodes}


def _pins(relays: Sequence[str], value: object) -> dict[str, str]:
    """Of the relays that are up."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) not in (0, len(relays)):
        raise ShapeError(f"up must have a pin, an empty text or false for each of {len(relays)} relays, not {value!r}")
    found: dict[str, str] = {}
    for name, pin in zip(relays, value, strict=False):
        if pin is not False and not isinstance(pin, str):
            raise ShapeError(f"up must have a pin, an empty text or false for {name}, not {pin!r}")
        if pin is not False:
            found[name] = str(pin)
    return found


def _regions(value: object) -> dict[str, Mapping[str, t.Any]]:
    """By the relay's label, which is the code of its region."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ShapeError("published must be a list of regions, as headscale_relays_info returns them")
    regions = [check_region(each) for each in value]
    return {each["regioncode"]: each for each in regions}


def _seen(mesh: Model, names: Sequence[str], looks: Sequence[Mapping[str, t.Any]]) -> dict[str, str]:
    """The pins of those of these relays that their hosts had before this run. ShapeError where it did not look."""
    found = dict(zip(mesh["relays"], looks, strict=False))
    unknown = [name for name in names if "relays" not in found.get(name, {})]
    if unknown:
        raise ShapeError(
            f"the map of relays on the coordinator ({MAP}) is damaged, and this run does not know how nodes find "
            f"{several(unknown)}: run once without --limit, with all relays up"
        )
    pins = {}
    for name in names:
        relay, look = mesh["derp"][name], found[name]
        certificates = look["relays"]["certificates"]
        if relay["certificate"] == "self-made" and file_of(relay["hostname"]) in certificates:
            pins[name] = str(certificates[file_of(relay["hostname"])][0])
        elif relay["certificate"] != "self-made" and "derper" in look["daemons"]:
            pins[name] = ""
    return pins


class FilterModule:
    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"derp_map": derp_map}
