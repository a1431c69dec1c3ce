#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: wireguard_key
short_description: Make a WireGuard private key, and keep it
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Makes sure that a file holds a private key that root alone can read, and returns the public key. The private key
    never leaves the host. Needs no program there but Python.
  - M(wonder.mesh.wireguard_interface) does this for its own interface; this module is for keys of other ones.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.full
options:
  path:
    description:
      - The file with the private key, as C(wg genkey) writes it. Its directory must exist.
    type: path
    required: true
  regenerate:
    description:
      - Makes a new key even if there is one, or something in its place that is none. Otherwise such a file is kept, and
        the task fails.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Make the key of an interface of systemd-networkd
  wonder.mesh.wireguard_key:
    path: /etc/systemd/network/wg0.key
  register: key
"""

RETURN = r"""
public_key:
  description: The public key. Empty in check mode, if a key would be made.
  returned: success
  type: str
  sample: xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import SHOWN, KeyFile, WireGuardError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True, "no_log": False},
            "regenerate": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    os.umask(0o077)
    key = KeyFile(module.params["path"])
    try:
        if not module.check_mode:
            key.forget()
        state = key.look(module.params["regenerate"])
        if not module.check_mode and state == "new":
            key.make()
        elif not module.check_mode and state == "open":
            key.make_private()
        public = "" if module.check_mode and state == "new" else key.public_key()
    except (WireGuardError, OSError) as exc:
        module.fail_json(msg=str(exc))
    before, after = SHOWN.get(state, ("", ""))
    diff = {"before_header": key.path, "after_header": key.path, "before": before, "after": after}
    module.exit_json(changed=state != "right", public_key=public, diff=diff)


if __name__ == "__main__":
    main()
