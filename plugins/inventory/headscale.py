# SPDX-License-Identifier: MIT
"""Hosts from the nodes that a Headscale knows."""

from __future__ import annotations

DOCUMENTATION = r"""
name: headscale
short_description: Hosts from the nodes that a Headscale knows
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Makes a host of each node, under its name in the mesh, reached at its address in the mesh. Ansible itself must run
    on a node that may reach them.
  - A node is in C(tag_NAME) for each of its tags, or in C(user_NAME) of the person whom it belongs to. What group names
    cannot hold becomes C(_).
  - Each host has C(headscale_id), C(headscale_hostname), C(headscale_user), C(headscale_tags), C(headscale_addresses),
    C(headscale_online), C(headscale_last_seen), C(headscale_expiry), C(headscale_routes) and
    C(headscale_available_routes).
  - The API key comes from O(api_key_file) or the environment, never from this file. C(headscale apikeys create) makes
    one.
  - Our coordinator does not serve the API to the internet. Forward its port, by
    C(ssh -N -L 8080:127.0.0.1:8080 COORDINATOR).
  - The file's name must end in C(headscale.yml) or C(headscale.yaml).
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [wonder.mesh.headscale]
  url:
    description: Where Headscale's API is. C(http) is for addresses of this machine only.
    type: str
    default: http://127.0.0.1:8080
  api_key_file:
    description: A file with the API key, relative to this one, that nobody but its owner may read.
    type: str
    env:
      - name: WONDER_MESH_HEADSCALE_API_KEY_FILE
  api_key:
    description: The API key, from the environment.
    type: str
    env:
      - name: HEADSCALE_CLI_API_KEY
  ca_file:
    description: A file with the certificates of further authorities to trust, relative to this one.
    type: str
  offline:
    description: Whether nodes that are not connected become hosts too.
    type: bool
    default: false
  family:
    description: Which address of a node is its C(ansible_host). A node without one of this kind has its other one.
    type: str
    choices: [ipv4, ipv6]
    default: ipv4
  timeout:
    description: How long Headscale may take to answer, in seconds.
    type: int
    default: 10
"""

EXAMPLES = r"""
# headscale.yml: all nodes, by a front of your own that serves the API. For those that are connected, by a forwarded
# port, the first two lines are enough.
plugin: wonder.mesh.headscale
api_key_file: headscale.key
url: https://headscale.example.com
offline: true
groups:
  away: not headscale_online
compose:
  ansible_user: "'root'"
"""

import os
import stat

from ansible_collections.wonder.mesh.plugins.plugin_utils._discovery import Discovery, DiscoveryError, Found
from ansible_collections.wonder.mesh.plugins.plugin_utils._headscale_api import ApiError, hosts, nodes


class InventoryModule(Discovery):
    NAME = "wonder.mesh.headscale"
    ENDINGS = ("headscale.yml", "headscale.yaml")

    def discover(self) -> list[Found]:
        authority = self.get_option("ca_file")
        try:
            found = nodes(
                self.get_option("url"),
                self._key(),
                ca_file=self.relative(authority) if authority else None,
                timeout=self.get_option("timeout"),
            )
        except ApiError as exc:
            raise DiscoveryError(str(exc)) from exc
        return [Found(*each) for each in hosts(found, self.get_option("family"), self.get_option("offline"))]

    def _key(self) -> str:
        value, origin = self.get_option_and_origin("api_key")
        if value and not str(origin).startswith("env:"):
            raise DiscoveryError(
                "api_key: a key does not belong into this file; put it into a file of its own, api_key_file"
            )
        name = self.get_option("api_key_file")
        if value or not name:
            if not value:
                raise DiscoveryError(
                    "no API key is given. Set api_key_file to a file with one, or HEADSCALE_CLI_API_KEY to the key"
                )
            return str(value).strip()
        return _read_key(self.relative(name))


def _read_key(path: str) -> str:
    try:
        with open(path, encoding="ascii") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            key = stream.read().strip()
    except OSError as exc:
        raise DiscoveryError(
            f"api_key_file: {path} cannot be read: {exc.strerror}. `headscale apikeys create` prints a key"
        ) from exc
    except UnicodeDecodeError:
        raise DiscoveryError(f"api_key_file: {path} holds no API key; `headscale apikeys create` prints one") from None
    if mode & 0o077:
        raise DiscoveryError(f"api_key_file: {path} can be read by others (mode {mode:04o}); run `chmod 600 {path}`")
    if not key or len(key.split()) != 1:
        raise DiscoveryError(f"api_key_file: {path} holds no API key; `headscale apikeys create` prints one")
    return key
