#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: tailscale_node
short_description: Join a host to the mesh and bring its preferences to their wanted values
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Reads the state and the preferences of the host's tailscaled and converges them, in one remote call.
  - A node that has joined already needs no key. Only when it answers that it has not joined, the action plugin mints a
    single-use, tagged key with a short life on O(coordinator) and hands it over inside this task, so that no variable,
    fact, result, argument or log ever holds it.
  - Only preferences that differ are set, so nothing else is reset and nobody has to log in again.
  - tailscaled keeps the map of the mesh for a boot without its coordinator. Where that has another home relay than the
    node is at, since relays have changed, nobody would find the node after such a boot. Then tailscaled is started anew
    without that home, and keeps the one that it finds.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.full
options:
  login_server:
    description: The coordinator's public address, such as V(https://hub.example.com).
    type: str
    required: true
  coordinator:
    description: The coordinator's name in the inventory. It mints the key.
    type: str
    required: true
  tags:
    description: The tags that a new node gets. Those of an old one are the business of M(wonder.mesh.headscale_node).
    type: list
    elements: str
    required: true
  hostname:
    description: The node's name in the mesh.
    type: str
    required: true
  accept_dns:
    description: Whether the host's resolver asks the mesh for names.
    type: bool
    default: true
  accept_routes:
    description: Whether the host uses routes that other nodes announce.
    type: bool
    default: false
  advertise_routes:
    description: The routes that the host announces.
    type: list
    elements: str
    default: []
  relay_port:
    description: The UDP port on which the host carries traffic between two other nodes, as a peer relay. V(0) for none.
    type: int
    default: 0
  ssh:
    description:
      - Whether tailscaled answers SSH at the node's addresses in the mesh, in the place of sshd. Who is let in, and as
        which user, is said by C(ssh) of the policy.
    type: bool
    default: false
  regions:
    description:
      - The numbers of the relays' regions that are published by now. A node whose home is another is given half a
        minute to hear so.
      - Empty when the map that the node has is not about to change.
    type: list
    elements: int
    default: []
  binary:
    description: The C(tailscale) command.
    type: path
    default: /usr/local/bin/tailscale
  socket:
    description: The socket of the host's tailscaled.
    type: path
    default: /run/tailscale/tailscaled.sock
  state_directory:
    description: Where the host's tailscaled keeps its state and its map of the mesh.
    type: path
    default: /var/lib/tailscale
  unit:
    description: The unit of the host's tailscaled. It is started anew before a host that was a node once joins again.
    type: str
    default: tailscaled.service
  key_file:
    description: The file on the host with the key to join with. The action plugin fills it in and removes the file.
    type: path
    default: ""
  trial:
    description:
      - The name of the change, for when it is made on trial since the session that asks for it comes through the mesh,
        see M(wonder.mesh.mesh_confirm). The action plugin fills it in.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Join the mesh
  wonder.mesh.tailscale_node:
    login_server: https://hub.example.com
    coordinator: hub
    hostname: mini-1
    tags: ["tag:node", "tag:node-mini-1"]
"""

RETURN = r"""
joined:
  description: Whether the host is a node of the mesh.
  returned: success
  type: bool
  sample: true
addresses:
  description: The node's addresses in the mesh, the IPv4 one first. Empty while it has not joined.
  returned: success
  type: list
  elements: str
  sample: ["100.64.0.1", "fd7a:115c:a1e0::1"]
key:
  description: The node's public key. Empty while it has not joined.
  returned: success
  type: str
  sample: nodekey:9f8a...
"""

import contextlib
import os
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wonder.mesh.plugins.module_utils import _tailscale_rest
from ansible_collections.wonder.mesh.plugins.module_utils._node import ARGUMENTS, Node
from ansible_collections.wonder.mesh.plugins.module_utils._session import comes_through
from ansible_collections.wonder.mesh.plugins.module_utils._tailscale import Tailscale, TailscaleError
from ansible_collections.wonder.mesh.plugins.module_utils._trial import ON_TRIAL, TrialError, begun, on_trial

if t.TYPE_CHECKING:
    from collections.abc import Callable

HEAR = 30  # seconds that a map may take to reach a node once it is published; Headscale starts anew for that


def look(module: AnsibleModule) -> Node:
    """The node as it is. In check mode its daemon may be down: then as it will be once that runs."""
    tailscale = Tailscale(module.run_command, module.params["binary"], module.params["socket"])
    directory = module.params["state_directory"]
    if not module.check_mode:
        home = settled_home(directory, module.params["regions"])
        # What it has not heard by now, it does not suffer from.
        return Node(tailscale, module.params | {"regions": []}, tailscale.status(), tailscale.preferences(), home)
    home = _tailscale_rest.home(directory)
    if os.path.exists(module.params["socket"]):
        with contextlib.suppress(TailscaleError, ValueError):
            return Node(tailscale, module.params, tailscale.status(), tailscale.preferences(), home)
    return Node(tailscale, module.params, *_tailscale_rest.at_rest(directory), home)


def settled_home(directory: str, regions: list[int]) -> dict[str, t.Any]:
    """The node's home, once it has heard whether that is in the map still."""
    deadline = time.monotonic() + HEAR
    while True:
        home = _tailscale_rest.home(directory)
        is_leaving = home and regions and home["region"] not in map(str, [0, *regions])
        if not is_leaving or home["region"] not in home["regions"] or time.monotonic() > deadline:
            return home
        time.sleep(0.5)


def converge(module: AnsibleModule) -> dict[str, t.Any]:
    """Read, compare, act; the module's result. Without a key, one that must join is left as it is."""
    node = look(module)
    node.refuse_other_mesh()
    result = {"changed": node.changed, "diff": node.diff()}
    if not node.changed or module.check_mode or not (node.joined or module.params["key_file"]):
        return result | node.result()

    def change(prove: Callable[[], None]) -> dict[str, t.Any]:
        node.converge()
        try:
            prove()
        except TrialError as exc:
            node.put_back()
            raise TailscaleError(f"{exc}. The previous preferences were put back.") from exc
        return result | node.result()

    trial = module.params["trial"] if comes_through([module.params["unit"]]) else ""
    return on_trial(trial, change, module.run_command)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if begun(module.params["trial"]):
        module.exit_json(**ON_TRIAL)
    try:
        result = converge(module)
    except (OSError, TailscaleError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    finally:
        if module.params["key_file"] and os.path.exists(module.params["key_file"]):
            os.unlink(module.params["key_file"])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
