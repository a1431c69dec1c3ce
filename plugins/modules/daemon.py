#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: daemon
short_description: Bring one systemd service to its wanted state, as one transaction
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Takes the whole wanted state of one daemon at once - its program, user, directories, files, units, whether it runs -
    and compares it with the host in one remote call. A run that changes nothing costs that call and no more.
  - When something differs, everything is staged beside its target, the program's own checker judges it in a sandbox
    (see O(check)), then it is swapped in, the daemon is restarted or reloaded if that is needed, and must become ready.
    When any step fails, the previous state is put back, and the daemon runs with it.
  - A run that is killed at any point leaves a journal in C(/var/lib/wonder-mesh). The next run goes on from there and
    ends in the same bytes.
requirements:
  - systemd on the host
  - Go on the controller, when O(program) must be built
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details:
      - Shows the very diff that the run would show. The checker runs too, on copies, when what it needs is on the host.
  diff_mode:
    support: full
    details:
      - Secret files and programs are shown by name only.
  platform:
    platforms: posix
options:
  name:
    description:
      - The name of the daemon. What was applied is remembered under it in C(/var/lib/wonder-mesh).
    type: str
    required: true
  state:
    description:
      - V(started) enables and starts the first of O(units), V(stopped) disables and stops it.
      - V(absent) stops it and removes all that was put on the host. Directories with O(directories[].data) stay
        unless O(remove_data).
    type: str
    choices: [absent, started, stopped]
    default: started
  user:
    description:
      - The system user that the daemon runs as. It is created when there is none. Empty for root.
    type: str
    default: ""
  home:
    description:
      - The home directory in the user's entry. It is not created.
    type: path
    default: /nonexistent
  program:
    description:
      - The program to install in C(/usr/local/bin), one of those in C(programs/). The controller builds it for the
        host's architecture when its cache has none, and sends it when the host's copy differs.
    type: str
    default: ""
  version:
    description:
      - The version of O(program), for those who want to see it named. Another one than the pinned one is refused.
    type: str
    default: ""
  program_source:
    description:
      - Where O(program) comes from instead of a build, by architecture and binary. Each binary is a C(file) on the
        controller or an https C(url), with its C(sha256), or a .tar.gz that holds it. Then nothing is built.
      - The sha256 is that of the file as it is named. What does not have it is refused before the host is changed.
    type: dict
    default: {}
  directories:
    description:
      - Directories of the daemon. A parent must come before what is in it.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The directory.
        type: path
        required: true
      mode:
        description: Its mode, quoted, in octal.
        type: str
        default: "0755"
      owner:
        description: Its owner.
        type: str
        default: root
      group:
        description: Its group.
        type: str
        default: root
      data:
        description:
          - The daemon keeps its own data in it. A checker gets a copy; a new version of the program starts after a
            copy was made, which goes back together with the old program; O(state=absent) leaves it alone.
        type: bool
        default: false
  files:
    description:
      - Files of the daemon. Give one of O(files[].template), O(files[].content) and O(files[].source).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file.
        type: path
        required: true
      template:
        description: A template of the role or the play.
        type: str
      content:
        description: The content itself.
        type: str
      source:
        description: A file on the controller.
        type: str
      sha256:
        description: The hash of the content, when it is sent apart. The action plugin fills it in.
        type: str
      label:
        description: What a diff shows instead of the content. The action plugin fills it in.
        type: str
        default: ""
      mode:
        description: Its mode, quoted, in octal.
        type: str
        default: "0644"
      owner:
        description: Its owner.
        type: str
        default: root
      group:
        description: Its group.
        type: str
        default: root
      secret:
        description:
          - Whether the content is a secret. It then is in no diff, no argument and no log, and travels as a file, only
            when the host's copy differs.
        type: bool
        default: false
      on_change:
        description: What a new content asks of the running daemon.
        type: str
        choices: [none, reload, restart]
        default: restart
      judge:
        description:
          - What judges the content before anything is changed, for what O(check) does not read. V(derp_map) is a map of
            relays as the role headscale writes it, V(derper_limits) are the limits of a relay.
        type: str
        choices: ["", derp_map, derper_limits]
        default: ""
  units:
    description:
      - Templates of the units, named as the unit with C(.j2) behind it. The first is the one that is enabled and
        started; others are stopped when it is started anew, as the service behind a socket must be.
    type: list
    elements: str
    required: true
  check:
    description:
      - The command that judges a new configuration, run as O(user) in a transient unit without network. It sees
        O(directories) as they will be, the new files in place, with copies of those that hold data; so it is given the
        real paths.
    type: list
    elements: str
    default: []
  ready:
    description:
      - How to tell that the daemon is ready once its unit is active.
    type: dict
    default: {}
    suboptions:
      url:
        description: An http address on the host that answers 200.
        type: str
      socket:
        description: A Unix socket that accepts a connection.
        type: path
      port:
        description: A TCP port that accepts a connection on loopback.
        type: int
      https:
        description:
          - A name for which port 443 must not show a certificate that the host does not trust. Where it shows none yet,
            since one is being asked for, the daemon is ready.
        type: str
      timeout:
        description: How long to wait, in seconds.
        type: int
        default: 30
  remove_data:
    description:
      - Whether O(state=absent) removes the daemon's data too.
    type: bool
    default: false
  binaries:
    description:
      - The program's files by architecture (as C(uname -m) has it). The action plugin fills it in.
    type: dict
    default: {}
  uploads:
    description:
      - Files on the host with contents that it lacked, by hash. The action plugin fills it in.
    type: dict
    default: {}
  trial:
    description:
      - The name of the change, for when it is made on trial since the session that asks for it comes through this very
        daemon, see M(wonder.mesh.mesh_confirm). The action plugin fills it in.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Run Headscale
  wonder.mesh.daemon:
    name: headscale
    program: headscale
    user: headscale
    directories:
      - {path: /etc/headscale, mode: "0750", group: headscale}
      - {path: /var/lib/headscale, mode: "0700", owner: headscale, group: headscale, data: true}
    files:
      - {path: /etc/headscale/config.yaml, template: config.yaml.j2, mode: "0640", group: headscale}
    units:
      - headscale.service.j2
    check: [headscale, configtest, -c, /etc/headscale/config.yaml]
    ready:
      url: http://127.0.0.1:8080/health

- name: Run a Caddy that somebody else has built
  wonder.mesh.daemon:
    name: caddy
    program: caddy
    program_source:
      amd64:
        caddy:
          url: https://example.com/caddy_2.11.7_linux_amd64.tar.gz
          sha256: 3cf1ecd8b3f5bdd6f3e7a0b3c0ad0d0ee3c0f5f8a7b6c5d4e3f2a1b0c9d8e7f6
    units:
      - caddy.service.j2

- name: Take Headscale off the host, but keep its database and keys
  wonder.mesh.daemon:
    name: headscale
    program: headscale
    directories:
      - {path: /var/lib/headscale, data: true}
    units:
      - headscale.service.j2
    state: absent
"""

RETURN = r"""
restarted:
  description: Whether the daemon was (or, in check mode, would be) started anew.
  returned: success
  type: bool
  sample: false
reloaded:
  description: Whether the daemon was (or would be) told to read its configuration again.
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

from ansible_collections.wonder.mesh.plugins.module_utils._accounts import AccountError
from ansible_collections.wonder.mesh.plugins.module_utils._checker import check
from ansible_collections.wonder.mesh.plugins.module_utils._daemon import Applied, Daemon, DaemonError, plan
from ansible_collections.wonder.mesh.plugins.module_utils._difference import report
from ansible_collections.wonder.mesh.plugins.module_utils._files import FileError
from ansible_collections.wonder.mesh.plugins.module_utils._judges import judge
from ansible_collections.wonder.mesh.plugins.module_utils._lock import only_run
from ansible_collections.wonder.mesh.plugins.module_utils._removal import Removal
from ansible_collections.wonder.mesh.plugins.module_utils._session import comes_through
from ansible_collections.wonder.mesh.plugins.module_utils._systemd import Systemd, SystemdError
from ansible_collections.wonder.mesh.plugins.module_utils._transaction import Transaction, recover, remember
from ansible_collections.wonder.mesh.plugins.module_utils._trial import ON_TRIAL, begun, on_trial
from ansible_collections.wonder.mesh.plugins.module_utils._wanted import ARGUMENTS, UNITS, wanted

if t.TYPE_CHECKING:
    from collections.abc import Callable


def converge(module: AnsibleModule, daemon: Daemon, systemd: Systemd) -> dict[str, t.Any]:
    """Compare and act; the module's result."""
    applied = Applied.load(daemon.state_directory)
    unproven = recover(daemon, applied, systemd, not module.check_mode)
    judge(daemon.files)
    todo = plan(daemon, applied, systemd.state(daemon.unit), unproven)
    result = report(todo.differences) | {"restarted": todo.restart, "reloaded": todo.reload}
    uploads = module.params["uploads"]
    missing = todo.missing(uploads)
    if module.check_mode:
        # What the checker needs must be there already; to judge more, a check would have to write.
        if todo.files and not missing and not todo.create_user and not todo.directories and not todo.programs:
            check(daemon, uploads, module.run_command)
    elif missing:
        result["missing"] = missing
    elif todo.differences or todo.restart or todo.reload or unproven:

        def change(prove: Callable[[], None]) -> dict[str, t.Any]:
            Transaction(daemon, todo, applied, uploads, systemd, module.run_command, prove).run()
            return result

        return on_trial(module.params["trial"] if comes_through(daemon.units) else "", change, module.run_command)
    else:
        remember(daemon, applied)
    return result


def remove(module: AnsibleModule, daemon: Daemon, systemd: Systemd) -> dict[str, t.Any]:
    """Take the daemon away; the module's result."""
    applied = Applied.load(daemon.state_directory)
    # The data of a run that was killed while it put them back are nowhere whole but in what it had saved.
    recover(daemon, applied, systemd, not module.check_mode)
    removal = Removal(daemon, applied, systemd.state(daemon.unit), module.params["remove_data"])
    result = report(removal.differences) | {"restarted": False, "reloaded": False}
    if result["changed"] and not module.check_mode:
        removal.run(systemd, module.run_command)
    if not module.check_mode:
        removal.forget()
    return result


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
    if module.params["program"] and machine not in module.params["binaries"] and module.params["state"] != "absent":
        module.exit_json(changed=False, machine=machine, missing=["program"])
    daemon = wanted(module.params, machine)
    try:
        with only_run(module, UNITS):
            act = remove if daemon.state == "absent" else converge
            result = act(module, daemon, Systemd(module.run_command))
    except (AccountError, DaemonError, FileError, SystemdError, OSError) as exc:
        module.fail_json(msg=str(exc), machine=machine)
    module.exit_json(machine=machine, **result)


if __name__ == "__main__":
    main()
