# SPDX-License-Identifier: MIT
"""The options of modules that speak to Headscale on the coordinator."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  url:
    description: Where Headscale listens on the coordinator.
    type: str
    default: http://127.0.0.1:8080
  binary:
    description: The Headscale program, which makes the API key.
    type: path
    default: /usr/local/bin/headscale
  config:
    description: Headscale's configuration.
    type: path
    default: /etc/headscale/config.yaml
"""

    DATABASE = r"""
options:
  database:
    description: Headscale's database. Check mode reads a copy of it while Headscale is down.
    type: path
    default: /var/lib/headscale/db.sqlite
"""
