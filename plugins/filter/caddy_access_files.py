# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
name: caddy_access_files
short_description: The files by which a gateway's Caddy knows who may come to a service
version_added: 0.1.0
author: The Wonder Mesh authors (@wonder-mesh)
description:
  - Turns the users of services and the authorities of their clients into files for M(wonder.mesh.daemon), where
    P(wonder.mesh.caddy_config#filter) names them. A host that is no gateway has none.
  - The hash of a password is in a file that only the user C(caddy) may read, and nowhere else on the host.
options:
  _input:
    description: The model that M(wonder.mesh.mesh_model) returns.
    type: dict
    required: true
  host:
    description: The host whose Caddy it is.
    type: str
    required: true
  users:
    description: The users, each with the bcrypt hash of the password.
    type: dict
    required: true
  directory:
    description: The directory on the host.
    type: str
    default: /etc/caddy/certificates
"""

EXAMPLES = r"""
- name: Show the files by which this gateway knows who may come
  ansible.builtin.debug:
    msg: "{{ ansible_facts['mesh'] | wonder.mesh.caddy_access_files(inventory_hostname, caddy_users) }}"
"""

RETURN = r"""
_value:
  description: The files for O(wonder.mesh.daemon#module:files), hashes as secrets.
  type: list
  elements: dict
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.plugin_utils._caddy_access import FILES, authority_file, user_file
from ansible_collections.wonder.mesh.plugins.plugin_utils._shape import ShapeError, check_model, host_of

if t.TYPE_CHECKING:
    from collections.abc import Callable


def caddy_access_files(model: object, host: str, users: object, directory: str = FILES) -> list[dict[str, t.Any]]:
    try:
        mesh = check_model(model)
        gateway = "gateways" in host_of(mesh, host)["groups"]
    except ShapeError as exc:
        raise AnsibleFilterError(f"caddy_access_files: {exc}") from exc
    if not isinstance(users, Mapping):
        raise AnsibleFilterError("caddy_access_files: the users must be a mapping of names to bcrypt hashes")
    services = mesh["services"] if gateway else []
    named = sorted({user for service in services for user in service["access"]["basic_auth"]})
    missing = [name for name in named if not isinstance(users.get(name), str)]
    if missing:
        raise AnsibleFilterError(f"caddy_access_files: there is no hash for the user {missing[0]}")
    private = {"owner": "caddy", "group": "caddy", "mode": "0400", "on_change": "reload", "secret": True}
    public = {"owner": "root", "group": "caddy", "mode": "0640", "on_change": "reload"}
    authorities = {
        service["host"]: service["access"]["client_certificates"]
        for service in services
        if service["access"]["client_certificates"]
    }
    return [
        *({"path": user_file(name, directory), "content": f"{users[name]}\n", **private} for name in named),
        *(
            {"path": authority_file(name, directory), "source": authorities[name], **public}
            for name in sorted(authorities)
        ),
    ]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"caddy_access_files": caddy_access_files}
