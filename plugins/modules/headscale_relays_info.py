#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: headscale_relays_info
short_description: Read which relays the coordinator publishes
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Reads the map of relays that the role headscale wrote. Changes nothing.
  - P(wonder.mesh.derp_map#filter) needs it for relays that a run does not ask, since only they know their certificates.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.no_diff
"""

EXAMPLES = r"""
- name: Read which relays are published
  wonder.mesh.headscale_relays_info:
"""

RETURN = r"""
regions:
  description:
    - The regions of the map, an empty list where there is no map.
    - V(null) where the map is damaged, or was edited by hand; the next run of all relays makes it anew.
  returned: success
  type: list
  elements: dict
  sample: [{regionid: 917, regioncode: edge, nodes: [{hostname: 203.0.113.12}]}]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wonder.mesh.plugins.module_utils._derp_map import published


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        regions = published()
    except OSError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, regions=regions)


if __name__ == "__main__":
    main()
