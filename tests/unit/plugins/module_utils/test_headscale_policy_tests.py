# SPDX-License-Identifier: MIT
"""Tests of a policy that are of no shape: they are refused in words before anything is asked of them."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils._headscale import HeadscaleError
from ansible_collections.wonder.mesh.plugins.module_utils._headscale_policy import check_tests


@pytest.mark.parametrize("key", ["tests", "sshTests"])
@pytest.mark.parametrize(
    "tests", [5, "x", {"a": 1}, ["x"], [{"accept": "a:1"}], [{"deny": [{"a": 1}]}], [{"dst": None}]]
)
def test_a_wrong_shape_is_refused(key: str, tests: t.Any) -> None:
    with pytest.raises(HeadscaleError, match=f"the policy's `{key}` must be a list of mappings"):
        check_tests({"grants": [], key: tests})


@pytest.mark.parametrize(
    "tests", [None, [], [{"src": "a@", "accept": ["b:22"], "deny": []}], [{"src": 5, "dst": ["x"]}]]
)
def test_what_headscale_may_judge_itself_passes(tests: t.Any) -> None:
    check_tests({"grants": [], "tests": tests})
