# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
name: caddy_files
short_description: Where a host's Caddy finds the certificates and the secret that come from the controller
version_added: 0.1.0
author: The Wonder Mesh authors (@wonder-mesh)
description:
  - Turns certificates on the controller into files for M(wonder.mesh.daemon), and into the paths on the host for
    P(wonder.mesh.caddy_config#filter).
  - So too the secret of a DNS provider, which only the user C(caddy) may read. Caddy's configuration names its file.
options:
  _input:
    description: The certificates, each with C(certificate) and C(key), which are paths on the controller.
    type: list
    elements: dict
    required: true
  directory:
    description: The directory on the host.
    type: str
    required: true
  secret:
    description: The secret itself, from a vault.
    type: str
    default: ""
  secret_file:
    description: The file with the secret, on the controller.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show where the certificates go
  ansible.builtin.debug:
    msg: "{{ caddy_certificates | wonder.mesh.caddy_files('/etc/caddy/certificates') }}"
"""

RETURN = r"""
_value:
  description:
    - C(files) for O(wonder.mesh.daemon#module:files), keys as secrets that the user C(caddy) may read.
    - C(certificates), the same list with the paths on the host.
    - C(secret), the path of the secret on the host, or an empty text.
  type: dict
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence


ACME_DNS = "acme-dns.secret"


def caddy_files(
    certificates: Sequence[Mapping[str, str]], directory: str, secret: str = "", secret_file: str = ""
) -> dict[str, t.Any]:
    files: list[dict[str, t.Any]] = []
    paths = []
    for number, each in enumerate(certificates, 1):
        if not isinstance(each, Mapping) or not {"certificate", "key"} <= each.keys():
            raise AnsibleFilterError(f"caddy_files: certificate {number} is {each!r}; expected certificate and key")
        paths.append({"certificate": f"{directory}/{number}.crt", "key": f"{directory}/{number}.key"})
        # A renewed certificate is loaded by a reload, which cuts no stream.
        common = {"owner": "root", "group": "caddy", "mode": "0640", "on_change": "reload"}
        files.append({"path": paths[-1]["certificate"], "source": each["certificate"], **common})
        files.append({"path": paths[-1]["key"], "source": each["key"], "secret": True, **common})
    if secret or secret_file:
        origin = {"content": secret} if secret else {"source": secret_file}
        private = {"owner": "caddy", "group": "caddy", "mode": "0400", "on_change": "reload", "secret": True}
        files.append({"path": f"{directory}/{ACME_DNS}", **origin, **private})
    return {
        "files": files,
        "certificates": paths,
        "secret": f"{directory}/{ACME_DNS}" if secret or secret_file else "",
    }


class FilterModule:
    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"caddy_files": caddy_files}
