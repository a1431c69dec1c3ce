# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
name: caddy_config
short_description: The whole configuration of one host's Caddy
version_added: 0.1.0
author: The mesh project (@wonder-mesh)
description:
  - Makes Caddy's JSON for a coordinator, a gateway or a host that is both.
  - In front of the control plane only the paths that clients need have a route. Everything else, the API, its
    documentation and the metrics included, is answered with 404.
  - Services are found by their MagicDNS names through the mesh's own resolver, whatever resolver the host has; on plain
    WireGuard by the addresses of their nodes. The
    first healthy replica gets the traffic; another one takes over within five seconds, whether the first refuses or is
    silent.
  - TCP and UDP services have listeners of their own, and names of TLS services are passed on before TLS, by caddy-l4.
    It asks the host's own resolver for the names of nodes.
  - While no replica of an HTTP service answers, the gateway does, with status 503, C(Retry-After) and a page.
  - Clients cannot claim another address by headers, and a header that does not come in time ends the connection.
  - A reload never cuts a stream of the control plane, of the embedded DERP server or of a service.
options:
  _input:
    description: The model that M(wonder.mesh.mesh_model) returns.
    type: dict
    required: true
  host:
    description: The host whose Caddy it is.
    type: str
    required: true
  certificates:
    description:
      - Certificates on that host, each with C(certificate) and C(key), which are paths there.
      - A name that none of them covers gets its certificate by Caddy's automatic HTTPS.
    type: list
    elements: dict
    default: []
  acme_email:
    description: The address for the account at the certificate authority of automatic HTTPS.
    type: str
    default: ""
  acme_ca:
    description: The URL of the ACME directory to ask instead of Caddy's own choice.
    type: str
    default: ""
  acme_dns:
    description:
      - How to prove to the authority by DNS that a name is ours, instead of by an answer on this host, as in the
        variable C(caddy_acme_dns) of the role C(caddy).
    type: dict
    default: {}
  acme_secret:
    description: The file on that host with the secret that O(acme_dns) needs, which only Caddy reads.
    type: str
    default: ""
  acme_wildcards:
    description: Names with a star, like C(*.apps.example.com), for each of which there is one certificate.
    type: list
    elements: str
    default: []
  resolver:
    description: The DNS server that knows the names of the nodes, as an address or as address and port.
    type: str
    default: 100.100.100.100
  handover:
    description:
      - Whether the program has the module of C(programs/caddy) by which a reload loses no request of a client that has
        just connected. A Caddy from elsewhere does not.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Show the configuration of this host's Caddy
  ansible.builtin.debug:
    msg: "{{ ansible_facts['mesh'] | wonder.mesh.caddy_config(inventory_hostname, caddy_certificates) }}"
"""

RETURN = r"""
_value:
  description: The configuration, ready to be written as JSON.
  type: dict
"""

import typing as t
from collections.abc import Mapping, Sequence

from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.plugin_utils import _caddy
from ansible_collections.wonder.mesh.plugins.plugin_utils._caddy_tls import Acme
from ansible_collections.wonder.mesh.plugins.plugin_utils._shape import ShapeError, check_model, host_of

if t.TYPE_CHECKING:
    from collections.abc import Callable


def caddy_config(
    model: object,
    host: str,
    certificates: object = (),
    acme_email: str = "",
    acme_ca: str = "",
    acme_dns: Mapping[str, t.Any] | None = None,
    acme_secret: str = "",
    acme_wildcards: Sequence[str] = (),
    resolver: str = _caddy.RESOLVER,
    handover: bool = True,
) -> dict[str, t.Any]:
    try:
        mesh = check_model(model)
        if not {"coordinator", "gateways"} & set(host_of(mesh, host)["groups"]):
            raise ShapeError(f"{host} is neither coordinator nor gateway, so it has no Caddy")
        files = _files(certificates)
    except ShapeError as exc:
        raise AnsibleFilterError(f"caddy_config: {exc}") from exc
    acme = Acme(acme_email, acme_ca, acme_dns or {}, acme_secret, acme_wildcards)
    return _caddy.configuration(mesh, host, files, acme, resolver, handover)


def _files(certificates: object) -> list[dict[str, str]]:
    if not isinstance(certificates, Sequence) or isinstance(certificates, str):
        raise ShapeError(f"certificates must be a list, each with certificate and key, not {certificates!r}")
    for each in certificates:
        if not isinstance(each, Mapping) or not all(isinstance(each.get(key), str) for key in ("certificate", "key")):
            raise ShapeError("each of the certificates must have a certificate and a key, both paths on the host")
    return [{"certificate": each["certificate"], "key": each["key"]} for each in certificates]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"caddy_config": caddy_config}
