#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: wireguard_interface
short_description: Bring a WireGuard interface to its wanted state, without dropping a session
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Takes the whole wanted state of one interface at once - its peers and their pre-shared keys, addresses, MTU, ports,
    routes, who may come in by it, what the host forwards - and compares it with the host in one remote call.
  - Uses the kernel's WireGuard where there is one, and otherwise wireguard-go, supervised by systemd. The interface
    comes back after a reboot by its own unit.
  - The private key is made on the host and never leaves it; the public one is returned.
  - Changes go live in the running interface. A peer that is not changed keeps its session and its counters.
  - A second unit probes the hubs of the table through the tunnel, lets the next one carry what lies behind a hub that
    is silent, on both sides, and asks again for the endpoints that are given by name when a peer is silent. What it
    changed is no difference for the next run.
  - A change of the host's own addresses, routes, ports, forwarding or rules is made on trial, see O(confirm). One of
    its peers is not.
  - Nothing is told to programs of the host's distribution but C(ip) and C(nft); C(wg) is not needed.
requirements:
  - systemd, iproute2 and nftables on the host, and a TUN device where its kernel has no WireGuard
  - Go on the controller, when wireguard-go must be built
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details:
      - Shows the very diff that the run would show.
  diff_mode:
    support: full
    details:
      - Keys other than public ones are not shown.
  platform:
    platforms: posix
options:
  name:
    description:
      - The name of the interface, a letter and up to 14 more letters, digits and underscores, all small.
    type: str
    default: wm0
  state:
    description:
      - V(started) keeps the interface running, V(absent) takes it away with all that came with it.
    type: str
    choices: [absent, started]
    default: started
  table:
    description:
      - The interface as the filter P(wonder.mesh.wireguard_peers#filter) gives it. Without it, only the key is made.
    type: dict
  rules:
    description:
      - Who may come in by the interface, as C(input) and C(forward), lists of rules that each have C(from), networks,
        and C(ports), such as C(tcp:22), C(udp:8000-8010) and C(tcp:*). The rules of C(forward) are for the networks
        that the table forwards to.
      - Without rules only answers and ICMP come in.
    type: dict
    default: {}
  names:
    description:
      - Lists of addresses by name, kept as a block in C(/etc/hosts). None for no block.
    type: dict
    default: {}
  registry:
    description:
      - The text of the public registry, of which the host keeps a copy. Empty to keep none.
    type: str
    default: ""
  secret_file:
    description:
      - A file on the controller with the mesh secret, of which the pre-shared keys of the host's own pairs are made.
        The host gets these only, in a file that root alone reads.
    type: str
    default: ""
  preshared_keys:
    description:
      - The pre-shared keys themselves, by the names of peers, instead of O(secret_file). The action plugin makes them
        of that file, and sends them where the host lacks them.
    type: dict
    default: {}
  regenerate:
    description:
      - Makes a new private key even if there is one. It goes without O(table), since tables name public keys.
      - The interface that runs keeps its old key until the next table comes.
    type: bool
    default: false
  at:
    description:
      - When the interface takes over a new key and other peers, in seconds since the epoch, so that all nodes do it at
        once. What it needs is prepared before. At most five minutes ahead; V(0) for at once.
    type: float
    default: 0
  implementation:
    description:
      - Whether the interface is one of the kernel or a process of wireguard-go. With V(auto), it is one of the kernel
        where that has WireGuard.
    type: str
    choices: [auto, kernel, userspace]
    default: auto
  confirm:
    description:
      - Whether a change of what is the host's own - its addresses, routes, ports, MTU, forwarding and rules - is made
        on trial. The host keeps it when the controller comes back over a new connection, and else takes it back within
        60 seconds, see M(wonder.mesh.mesh_confirm).
    type: bool
    default: true
  remove_data:
    description:
      - Whether O(state=absent) takes the private key and the registry away, too.
    type: bool
    default: false
  version:
    description:
      - The version of wireguard-go, for those who want to see it named. Another one than the pinned one is refused.
    type: str
    default: ""
  program_source:
    description:
      - Where wireguard-go comes from instead of a build, as for M(wonder.mesh.daemon).
    type: dict
    default: {}
  preshared_sha256:
    description: The hash of the pre-shared keys, which travel apart. The action plugin fills it in.
    type: str
    default: ""
  agent_sha256:
    description: The hash of what the units of the interface run. The action plugin fills it in.
    type: str
    default: ""
  binaries:
    description: The files of wireguard-go by architecture. The action plugin fills it in.
    type: dict
    default: {}
  uploads:
    description: Files on the host with contents that it lacked, by hash. The action plugin fills it in.
    type: dict
    default: {}
  trial:
    description: The name of the change, for when it is made on trial. The action plugin fills it in.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Make a key
  wonder.mesh.wireguard_interface:
  register: wireguard

- name: Run the interface
  wonder.mesh.wireguard_interface:
    table: "{{ ansible_facts['mesh'].wireguard | wonder.mesh.wireguard_peers(inventory_hostname) }}"
    secret_file: inventory/wireguard.secret
    rules:
      input:
        - {from: [10.77.0.0/16], ports: ["tcp:22"]}

- name: Take it away, and its key
  wonder.mesh.wireguard_interface:
    state: absent
    remove_data: true
"""

RETURN = r"""
public_key:
  description: The host's public key. Empty in check mode, as long as there is none.
  returned: success
  type: str
  sample: xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
interface:
  description: The name of the interface.
  returned: success
  type: str
  sample: wm0
registry:
  description: The text of the registry that the host had before the call. Empty if it had none.
  returned: success
  type: str
  sample: ""
userspace:
  description: Whether the interface is a process of wireguard-go.
  returned: success
  type: bool
  sample: false
restarted:
  description: Whether the interface was (or, in check mode, would be) made anew, so that its sessions begin anew.
  returned: success
  type: bool
  sample: false
reloaded:
  description: Whether the running interface was (or would be) changed.
  returned: success
  type: bool
  sample: true
machine:
  description: The host's architecture, as C(uname -m) has it.
  returned: always
  type: str
  sample: x86_64
missing:
  description: The hashes of contents that must be sent before the change can be made. For the action plugin.
  returned: when something must be sent
  type: list
  elements: str
  sample: []
"""

import os
import platform
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wonder.mesh.plugins.module_utils._daemon import DaemonError
from ansible_collections.wonder.mesh.plugins.module_utils._difference import report
from ansible_collections.wonder.mesh.plugins.module_utils._files import FileError
from ansible_collections.wonder.mesh.plugins.module_utils._lock import only_run
from ansible_collections.wonder.mesh.plugins.module_utils._systemd import Systemd, SystemdError
from ansible_collections.wonder.mesh.plugins.module_utils._trial import ON_TRIAL, begun, on_trial
from ansible_collections.wonder.mesh.plugins.module_utils._wanted import UNITS
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_daemon import ARGUMENTS
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_interface import Interface
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import WireGuardError


def only_key(interface: Interface, check_mode: bool) -> dict[str, t.Any]:
    """Make the key alone; what to answer."""
    differences = interface.key_differences(check_mode)
    if differences and not check_mode:
        interface.make_key()
    return report(differences)


def converge(module: AnsibleModule, interface: Interface) -> dict[str, t.Any]:
    """Read, compare, act; what to answer."""
    if not module.check_mode:
        interface.forget_traces()
    if module.params["state"] == "absent":
        result = interface.remove(module.check_mode)
    elif module.params["table"] is None:
        result = only_key(interface, module.check_mode)
    elif interface.needs_program:
        result = {"changed": False, "missing": ["program"]}
    else:
        result = interface.converge(
            module.check_mode, lambda trial, change: on_trial(trial, change, module.run_command)
        )
    return {**interface.told(), **result}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        no_log=True,  # whole configurations are among the arguments: keep them out of the host's journal
    )
    os.umask(0o077)
    if begun(module.params["trial"]):
        module.exit_json(**ON_TRIAL)
    machine = platform.machine()
    try:
        with only_run(module, UNITS):
            interface = Interface(module.params, machine, module.run_command, Systemd(module.run_command))
            result = converge(module, interface)
    except (DaemonError, FileError, SystemdError, WireGuardError, OSError) as exc:
        module.fail_json(msg=str(exc), machine=machine)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
