#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_host_info
short_description: Read in one call all that a run would compare on a host
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Reads which of the host's daemons are just as the last run wanted them, what the host is as a node, and on the
    coordinator the policy and the nodes. Changes nothing, and leaves out what cannot be read.
  - The controller keeps the answer until the run ends. The tasks of M(wonder.mesh.daemon),
    M(wonder.mesh.tailscale_node), M(wonder.mesh.headscale_policy) and M(wonder.mesh.headscale_node) that follow in the
    same run decide with it, and make a remote call only where something differs. Once something was changed on a host,
    its answer counts no more.
  - Without this module the others do the same, each with a remote call of its own.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.no_diff
options:
  interface:
    description:
      - The host's interface of plain WireGuard, if that carries the mesh. The answer is then what
        M(wonder.mesh.wireguard_host_info) returns.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Look at the host
  wonder.mesh.mesh_host_info:

- name: Look at a host of a mesh on WireGuard
  wonder.mesh.mesh_host_info:
    interface: wm0
"""

RETURN = r"""
machine:
  description: The host's architecture, as C(uname -m) has it.
  returned: success
  type: str
  sample: x86_64
daemons:
  description: For each daemon that is just as the last run wanted it, a hash of all that was wanted.
  returned: success
  type: dict
  sample: {tailscaled: 5f0c61c7…}
node:
  description: The state and the preferences of tailscaled, by its own names. Empty where it does not answer.
  returned: success
  type: dict
  sample: {status: {BackendState: Running}, preferences: {Hostname: mini-1}}
headscale:
  description: The policy and the nodes that Headscale has. Empty where it does not answer.
  returned: success
  type: dict
  sample: {policy: {grants: []}, nodes: []}
relays:
  description:
    - C(published) are the regions of the map of relays that the coordinator publishes. C(certificates) are those that a
      relay made for itself, each with its pin and the time at which it ends.
  returned: success
  type: dict
  sample: {published: [], certificates: {/etc/derper/203.0.113.12.pem: [sha256-raw:9f86…, 2110000000]}}
"""

import contextlib
import os
import platform
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wonder.mesh.plugins.module_utils._derp import certificates, published
from ansible_collections.wonder.mesh.plugins.module_utils._headscale import (
    CONNECTION,
    Headscale,
    HeadscaleError,
    current_policy,
)
from ansible_collections.wonder.mesh.plugins.module_utils._headscale_nodes import PATH as NODES
from ansible_collections.wonder.mesh.plugins.module_utils._intact import intact_daemons
from ansible_collections.wonder.mesh.plugins.module_utils._node import ARGUMENTS as NODE
from ansible_collections.wonder.mesh.plugins.module_utils._systemd import Systemd
from ansible_collections.wonder.mesh.plugins.module_utils._tailscale import Tailscale, TailscaleError
from ansible_collections.wonder.mesh.plugins.module_utils._tailscale_rest import PUBLIC


def node(module: AnsibleModule) -> dict[str, t.Any]:
    """What tailscale_node reads before it decides."""
    binary, socket = NODE["binary"]["default"], NODE["socket"]["default"]
    if not os.path.exists(socket):
        return {}
    tailscale = Tailscale(module.run_command, binary, socket)
    try:
        status, preferences = tailscale.status(), tailscale.preferences()
    except (TailscaleError, ValueError):
        return {}
    own = {name: status.get(name) for name in ("BackendState", "HaveNodeKey", "TailscaleIPs")}
    own["Self"] = {"PublicKey": (status.get("Self") or {}).get("PublicKey")}
    return {"status": own, "preferences": {name: preferences.get(name) for name in PUBLIC}}


def headscale(module: AnsibleModule) -> dict[str, t.Any]:
    """What headscale_policy and headscale_node read before they decide."""
    connection = {name: option["default"] for name, option in CONNECTION.items()}
    server = Headscale(module.run_command, connection, may_write=False)
    # One whose key must be renewed is left to those who may do that.
    if not server.has_lasting_key:
        return {}
    with contextlib.suppress(HeadscaleError):
        return {"policy": current_policy(server), "nodes": server.call("GET", NODES)["nodes"]}
    return {}


def relays(module: AnsibleModule) -> dict[str, t.Any]:
    """What derper_certificate and headscale_relays_info read before they decide."""
    found: dict[str, t.Any] = {"published": [], "certificates": certificates(module.run_command)}
    with contextlib.suppress(OSError):
        found["published"] = published()
    return found


def main() -> None:
    module = AnsibleModule(argument_spec={"interface": {"type": "str", "default": ""}}, supports_check_mode=True)
    module.exit_json(
        changed=False,
        machine=platform.machine(),
        daemons=intact_daemons(Systemd(module.run_command)),
        node=node(module),
        headscale=headscale(module),
        relays=relays(module),
    )


if __name__ == "__main__":
    main()
