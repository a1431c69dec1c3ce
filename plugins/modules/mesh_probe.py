#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_probe
short_description: Measure what a host reaches through the mesh and from the internet
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Measures paths to peers, connections to their ports, own ports, URLs, public ports and the NAT before it, all at the
    same time.
  - It judges nothing and is never told what is expected. What cannot be reached is a measurement with an error text,
    and so is a tailscaled that does not run; the module fails only when its arguments contradict each other.
  - A call takes at most 33 seconds more than O(relay_after), and usually 2 seconds when all paths are direct.
notes:
  - A path is V(direct) or V(peer-relay) as soon as tailscaled names it for traffic that this call made flow. It is
    V(relay) only after O(relay_after) seconds of two-way traffic without either, since first packets are relayed.
  - With O(interface), where no tailscaled is asked, a path is what its packets show. It is V(direct) if the first
    machine that they meet in the mesh is the peer, and V(hub) if others pass them on.
  - A peer's C(carried) means that 1 MiB went each way after the path was known, and that both hashes are equal.
requirements:
  - On members of the mesh, C(tailscale) and a running C(tailscaled), or C(ip) with O(interface)
  - On the peers, the responder that the role P(wonder.mesh.probe#role) sets up
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details:
      - It changes nothing, so it does the same in check mode.
  diff_mode:
    support: none
    details:
      - There is nothing to differ.
  platform:
    platforms: posix
options:
  port:
    description: The port on which the peers' responders answer.
    type: int
    default: 7733
  member:
    description: Whether this host is in the mesh. Only a member can measure O(peers), O(connections) and O(answers).
    type: bool
    default: false
  tailscale:
    description: The program that asks tailscaled.
    type: path
    default: /usr/local/bin/tailscale
  socket:
    description: The socket of tailscaled.
    type: path
    default: /run/tailscale/tailscaled.sock
  socks:
    description: Address and port of a userspace node's SOCKS5 proxy; empty on nodes with a TUN device.
    type: str
    default: ""
  interface:
    description: The host's interface of plain WireGuard; empty where tailscaled carries the mesh.
    type: str
    default: ""
  peers:
    description: The peers to measure.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name under which the peer comes back.
        type: str
        required: true
      dns:
        description: The peer's DNS name in the mesh. The first label is enough when no other peer has it.
        type: str
        required: true
      address:
        description: With O(interface), the peer's address in the mesh. Else tailscaled knows it.
        type: str
        default: ""
  connections:
    description: TCP ports to try on the mesh addresses of peers, once the path to the peer is up.
    type: list
    elements: dict
    default: []
    suboptions:
      to:
        description: The C(name) of one of O(peers).
        type: str
        required: true
      port:
        description: The TCP port.
        type: int
        required: true
  answers:
    description: Own TCP ports to try, on the own mesh address; with O(socks) on 127.0.0.1, where tailscaled dials then.
    type: list
    elements: int
    default: []
  urls:
    description:
      - URLs to GET within 6 seconds, without following redirects. Certificates are checked against the system's store.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name under which the URL comes back.
        type: str
        required: true
      url:
        description: An C(https) or C(http) URL.
        type: str
        required: true
      private:
        description: Its certificate is of a private authority, which the system's store does not have, so any will do.
        type: bool
        default: false
      address:
        description: What to call instead of the host of the URL, which stays the name that is asked for.
        type: str
        default: ""
  ports:
    description: Public ports to try for 3 seconds.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name under which the port comes back.
        type: str
        required: true
      address:
        description: A DNS name or an address.
        type: str
        required: true
      port:
        description: The port.
        type: int
        required: true
      protocol:
        description: V(tcp) opens a connection, V(stun) needs a valid answer to a binding request over UDP (RFC 5389).
        type: str
        choices: [stun, tcp]
        default: tcp
  streams:
    description: Services to try that are no HTTP, within 6 seconds.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name under which the service comes back.
        type: str
        required: true
      url:
        description:
          - C(tcp://HOST:PORT) is a connection that is not closed for 3 seconds, or gives a byte.
          - C(tls://HOST:PORT) is a handshake for that name, whose certificate is not verified.
          - C(udp://HOST:PORT) is any answer to O(streams[].send).
        type: str
        required: true
      send:
        description: The text to send to a UDP service.
        type: str
        default: ""
      address:
        description: What to call instead of the host of the URL, which stays the name that is asked for.
        type: str
        default: ""
  stun:
    description: STUN servers (RFC 5389) to ask from one socket where they see it.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: A DNS name or an IPv4 address.
        type: str
        required: true
      port:
        description: The UDP port.
        type: int
        required: true
  relay_after:
    description: Seconds (1 to 20) of traffic both ways without a better path after which a path counts as relayed.
    type: int
    default: 10
"""

EXAMPLES = r"""
- name: Measure what a node reaches
  wonder.mesh.mesh_probe:
    member: true
    peers:
      - {name: nas, dns: nas.mesh.example.com}
    connections:
      - {to: nas, port: 22}
    answers: [22]
  register: probe

- name: Measure what a stranger reaches
  wonder.mesh.mesh_probe:
    urls:
      - {name: hello, url: "https://hello.example.com/"}
    ports:
      - {name: hub, address: hub.example.com, port: 3478, protocol: stun}
  register: probe
"""

RETURN = r"""
node:
  description: This node; V(null) when tailscaled did not answer, and when O(member=false).
  returned: always
  type: dict
  sample: {addresses: [100.64.0.1], dns: mini-1.mesh.example.com, state: Running}
node_error:
  description: Why RV(node) is V(null) on a member of the mesh; empty otherwise.
  returned: always
  type: str
  sample: ""
peers:
  description:
    - One item for each of O(peers), in their order.
    - C(sent) counts the bytes that the peer says arrived, C(received) those that arrived here. C(latency_ms) is the
      shortest of five round trips after the path was known, in milliseconds.
    - C(path) is V(direct), V(peer-relay), V(relay), V(hub) or V(unknown), C(endpoint) the peer's address, the relay's
      code or the hub's address in the mesh, if it is known.
  returned: always
  type: list
  elements: dict
  sample:
    - {name: nas, address: 100.64.0.3, carried: true, sent: 1048576, received: 1048576, latency_ms: 1.4,
       path: direct, endpoint: "203.0.113.21:41641", error: ""}
connections:
  description:
    - One item for each of O(connections), in their order.
    - C(outcome) is V(open), V(refused) (the other side said no), V(silent) (no answer within 3 seconds, as when a
      policy forbids it) or V(error).
  returned: always
  type: list
  elements: dict
  sample: [{to: nas, port: 22, outcome: silent, error: 100.64.0.3 port 22 did not answer within 3.0 s}]
answers:
  description: One item for each of O(answers), in their order.
  returned: always
  type: list
  elements: dict
  sample: [{port: 22, open: true, error: ""}]
urls:
  description:
    - One item for each of O(urls), in their order. C(status) is V(null) when there was no HTTP answer at all.
    - C(ms) counts milliseconds until the answer's header, or until the error.
  returned: always
  type: list
  elements: dict
  sample: [{name: hello, url: "https://hello.example.com/", address: "", status: 200, location: "", ms: 3.2, error: ""}]
ports:
  description: One item for each of O(ports), in their order.
  returned: always
  type: list
  elements: dict
  sample: [{name: hub, address: hub.example.com, port: 443, protocol: tcp, open: true, error: ""}]
streams:
  description:
    - One item for each of O(streams), in their order. C(certificate) is that of a C(tls) handshake, as PEM.
  returned: always
  type: list
  elements: dict
  sample: [{name: db, url: "tcp://hub.example.com:5432", address: "", open: true, certificate: "", error: ""}]
mappings:
  description:
    - One item for each of O(stun), in their order. C(seen) is the address and port that the server saw, or empty.
    - A NAT that gives one public port for all shows the same to all of them.
  returned: always
  type: list
  elements: dict
  sample: [{address: hub.example.com, port: 3478, seen: 203.0.113.200 41641, error: ""}]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wonder.mesh.plugins.module_utils._probe import ARGUMENTS, PlanError, answer


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        module.exit_json(**answer(module.run_command, module.params))
    except PlanError as exc:
        module.fail_json(msg=str(exc))


if __name__ == "__main__":
    main()
