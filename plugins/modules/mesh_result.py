#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_result
short_description: Judge what the hosts measured
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Compares what M(wonder.mesh.mesh_probe) measured on the hosts of the play with what the inventory promises, writes
    the result to a file with mode 0600, and prints it as a table.
  - A host of the play without a measurement is named and makes the result not C(ok). What lies outside C(--limit) is
    not measured, and does not.
  - A refusal counts only if the port answers on the host itself and the same source reaches the host's probe port in
    the same call.
  - It does not fail because of a broken promise. Assert RV(result.ok) after it.
  - The file never counts as a change, and check mode does not write it.
requirements:
  - rich and jsonschema-rs, on the controller
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.no_diff
options:
  model:
    description: The model that M(wonder.mesh.mesh_model) returns.
    type: dict
    required: true
  result_file:
    description:
      - Where the result goes, on the controller, relative to the playbook's directory. Its directory must exist.
    type: path
    required: true
  paths:
    description:
      - What a path other than predicted means.
      - V(strict) breaks a promise.
      - V(warn) is a warning with its likely reason.
    type: str
    choices: [strict, warn]
    default: warn
  register:
    description: The name under which each host registered its measurement.
    type: str
    default: __verify_probe
  controller:
    description: The controller's own measurement, for an inventory without strangers.
    type: dict
"""

EXAMPLES = r"""
- name: Judge the mesh
  wonder.mesh.mesh_result:
    model: "{{ ansible_facts['mesh'] }}"
    result_file: "{{ inventory_dir }}/result.json"
    paths: strict
  register: __verify_result
  run_once: true

- name: Check that the mesh keeps what the inventory promises
  ansible.builtin.assert:
    that: __verify_result.result.ok
    fail_msg: "{{ __verify_result.result.problems }}"
  run_once: true
"""

RETURN = r"""
result:
  description: The result, as C(docs/result.schema.json) describes it.
  returned: success
  type: dict
  contains:
    schema:
      description: The version of this shape.
      type: int
      returned: always
    ok:
      description: Whether every promise that was measured is kept, and every host of the play was measured.
      type: bool
      returned: always
    nodes:
      description: Each node's C(name), mesh C(address) and C(tags).
      type: list
      elements: dict
      returned: always
    paths:
      description: Per ordered pair of nodes C(from), C(to), C(predicted), C(observed), C(latency_ms) and C(ok).
      type: list
      elements: dict
      returned: always
    services:
      description: Per service and stranger C(name), C(url), C(from), C(status) and C(ok).
      type: list
      elements: dict
      returned: always
    refusals:
      description: Per connection that must not be C(what), C(from), C(to), C(port) and C(ok).
      type: list
      elements: dict
      returned: always
    grants:
      description: Per connection that must be C(what), C(from), C(to), C(port) and C(ok).
      type: list
      elements: dict
      returned: always
    ports:
      description: Per public port and stranger C(name), C(address), C(port), C(protocol), C(from) and C(ok).
      type: list
      elements: dict
      returned: always
    not_measured:
      description: What was not measured, with the reason.
      type: list
      elements: str
      returned: always
    problems:
      description: The broken promises.
      type: list
      elements: str
      returned: always
    warnings:
      description: What is not as foretold and yet breaks no promise.
      type: list
      elements: str
      returned: always
table:
  description: The lines of the printed table, without colours.
  returned: success
  type: list
  elements: str
"""

# All of it happens in the action plugin of the same name.
