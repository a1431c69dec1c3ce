# SPDX-License-Identifier: MIT
"""Hosts from Lima's virtual machines."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lima
short_description: Hosts from Lima's virtual machines
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Makes a host of each virtual machine that C(limactl list) shows, under its name, with the variables by which SSH
    reaches it.
  - A host is in the group C(status_STATUS), and for each C(param) of its template in C(param_NAME_VALUE). What group
    names cannot hold becomes C(_).
  - Each host has C(lima_status), C(lima_arch), C(lima_cpus), C(lima_memory) and C(lima_disk) in bytes, C(lima_vm_type),
    C(lima_dir) and C(lima_param).
  - The file's name must end in C(lima.yml) or C(lima.yaml).
requirements:
  - Lima 2.0 or newer
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [wonder.mesh.lima]
  limactl:
    description: The C(limactl) program, a name on E(PATH) or a path.
    type: str
    default: limactl
  lima_home:
    description: Where Lima keeps its machines, relative to this file. Lima's own place by default.
    type: str
    env:
      - name: LIMA_HOME
  statuses:
    description: Machines of which status become hosts, such as V(Running), V(Stopped) and V(Broken).
    type: list
    elements: str
    default: [Running]
  timeout:
    description: How long C(limactl) may take, in seconds.
    type: int
    default: 30
"""

EXAMPLES = r"""
# lima.yml: all machines that run, and those with the param role=gateway in the group gateways
plugin: wonder.mesh.lima
groups:
  gateways: lima_param.role | default('') == 'gateway'
"""

import os
import subprocess

from ansible_collections.wonder.mesh.plugins.plugin_utils._discovery import Discovery, DiscoveryError, Found
from ansible_collections.wonder.mesh.plugins.plugin_utils._lima import LimaError, broken, hosts, instances


class InventoryModule(Discovery):
    NAME = "wonder.mesh.lima"
    ENDINGS = ("lima.yml", "lima.yaml")

    def discover(self) -> list[Found]:
        try:
            found = instances(self._list())
        except LimaError as exc:
            raise DiscoveryError(str(exc)) from exc
        for remark in broken(found):
            self.display.warning(remark)
        return [Found(*each) for each in hosts(found, self.get_option("statuses"))]

    def _list(self) -> str:
        """What ``limactl list`` prints."""
        program, timeout = self.get_option("limactl"), self.get_option("timeout")
        environment = dict(os.environ)
        if self.get_option("lima_home"):
            environment["LIMA_HOME"] = self.relative(self.get_option("lima_home"))
        command = [program, "--tty=false", "list", "--format", "json"]
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError:
            raise DiscoveryError(
                f"there is no program {program!r}. Install Lima 2.0 or newer (`brew install lima`), or set limactl to"
                " where it is"
            ) from None
        except PermissionError:
            raise DiscoveryError(
                f"{program!r} may not be executed; see its mode, or set limactl to another path"
            ) from None
        except subprocess.TimeoutExpired:
            raise DiscoveryError(
                f"{' '.join(command)} was not done after {timeout} s; run it by hand, or set a longer timeout"
            ) from None
        if done.returncode:
            said = done.stderr.strip().splitlines()
            hint = "; run Ansible as the user whose machines they are" if "root" in done.stderr else ""
            raise DiscoveryError(f"{' '.join(command)} failed: {said[-1] if said else f'exit {done.returncode}'}{hint}")
        return done.stdout
