#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: derper_certificate
short_description: Have a relay make its own certificate for an address
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - A relay without a name shows a certificate that it made itself, and nodes know it by its hash, which the coordinator
    publishes. This module makes the key and the certificate on the host, with openssl, in C(/etc/derper). The key never
    leaves it.
  - A certificate that lasts is left as it is. One that ends within O(renew_days) is replaced. After that, the daemon
    has to be started anew, and the new hash to be published.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.full
options:
  hostname:
    description: The IP address that the certificate is for.
    type: str
    required: true
  renew_days:
    description: Make a new one when it ends within so many days.
    type: int
    default: 90
"""

EXAMPLES = r"""
- name: Have a certificate
  wonder.mesh.derper_certificate:
    hostname: 203.0.113.12
"""

RETURN = r"""
certificate:
  description:
    - The pin of the certificate, as a DERP map has it. Empty in check mode when one would be made.
  returned: success
  type: str
  sample: sha256-raw:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wonder.mesh.plugins.module_utils._derp import (
    ARGUMENTS,
    Certificate,
    DerpError,
    file_of,
    make,
    read,
)


def converge(module: AnsibleModule) -> dict[str, t.Any]:
    """Read, and make one if there is none that lasts; the module's result."""
    hostname, path = module.params["hostname"], file_of(module.params["hostname"])
    before: Certificate | None = None
    if os.path.exists(path):
        before = read(path, module.run_command)
        if before.lasts(module.params["renew_days"]):
            return {"changed": False, "certificate": before.pin}
    pin = ""
    if not module.check_mode:
        make(hostname, module.run_command)
        pin = read(path, module.run_command).pin
    diff = {
        "before_header": path,
        "after_header": path,
        "before": f"{before.pin}\n" if before else "",
        "after": f"{pin or '(a new certificate)'}\n",
    }
    return {"changed": True, "certificate": pin, "diff": diff}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    os.umask(0o077)
    try:
        result = converge(module)
    except (DerpError, OSError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
