# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The policy of a Headscale: which of its tests there are nodes for, and what it must leave open.

Headscale runs the tests of a policy before it takes it, and refuses a test that names a tag which no node has.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._headscale import POLICY, ApiError, HeadscaleError
from ansible_collections.wonder.mesh.plugins.module_utils._headscale_refusal import told

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from ansible_collections.wonder.mesh.plugins.module_utils._headscale import Headscale

    Call = Callable[..., t.Any]  # as Headscale.call
    Policy = dict[str, t.Any]

CHECK = f"{POLICY}/check"
TESTS = ("tests", "sshTests")
LISTS = ("accept", "deny", "check")  # of a test, what it asserts
SSH_PORT, ROOT = 22, "root"
UNAUTHORIZED = 401
UNKNOWN = (404, 405, 501)  # of a Headscale before 0.29, which has no check


class RefusedError(HeadscaleError):
    """Headscale checked a policy and says no, or it takes away what is needed."""


def same_rules(one: object, other: object) -> bool:
    """Whether two policies allow the same, whatever their tests are."""
    return _rules(one) == _rules(other)


def check_tests(policy: Policy) -> None:
    """HeadscaleError for tests of a shape of which nothing can be said; the rest Headscale judges itself."""
    for key in TESTS:
        tests = [] if policy.get(key) is None else policy[key]
        if not isinstance(tests, list) or not all(isinstance(each, dict) and _has_texts(each) for each in tests):
            raise HeadscaleError(f"the policy's `{key}` must be a list of mappings, whose lists are lists of texts")


def _has_texts(test: Mapping[str, t.Any]) -> bool:
    lists = [test[key] for key in (*LISTS, "dst") if key in test]
    return all(isinstance(each, list) and all(isinstance(one, str) for one in each) for each in lists)


def to_have(wanted: Policy, current: object, tags: Collection[str]) -> Policy:
    """The wanted policy with the tests that can be run while nodes have these tags.

    It is the current one, if that differs only in tests for which there are no nodes right now.
    """
    testable = with_testable(wanted, tags)
    if isinstance(current, dict) and same_rules(wanted, current):
        has = set(_assertions(current))
        if set(_assertions(testable)) <= has <= set(_assertions(wanted)):
            return current
    return testable


def with_testable(policy: Policy, tags: Collection[str]) -> Policy:
    """The policy without tests of tags that no node has."""
    found = t.cast("Policy", _rules(policy))
    for key in TESTS:
        tests = [test for each in policy.get(key) or [] if (test := _testable(each, tags))]
        if tests:
            found[key] = tests
    return found


def tags_of(nodes: Iterable[Mapping[str, t.Any]]) -> set[str]:
    return {tag for node in nodes for tag in node.get("tags") or []}


def settled_tags(nodes: Iterable[Mapping[str, t.Any]], wanted: Iterable[Mapping[str, t.Any]]) -> set[str]:
    """The tags of those nodes of a Headscale that have just the wanted ones. Others get theirs after the policy."""
    tags = {each["name"]: sorted(each.get("tags") or []) for each in wanted}
    return tags_of(node for node in nodes if tags.get(node["givenName"]) == sorted(node.get("tags") or []))


def people_of(nodes: Iterable[Mapping[str, t.Any]]) -> set[str]:
    """Those who have a device in the mesh, by all names that a policy may have for them."""
    found: set[str] = set()
    for node in nodes:
        user = {} if node.get("tags") else node.get("user") or {}
        found |= {f"{user.get('name')}@", user.get("name") or "", user.get("email") or ""}
    return found - {"", "None@"}


def tests_all(policy: Policy, needs: Iterable[Mapping[str, str]]) -> bool:
    """Whether the policy's own tests say all that is needed between tags. Who else may be there is not known."""
    tested = {
        (test.get("src"), dst, test.get("proto"))
        for test in policy.get("tests") or []
        for dst in test.get("accept") or []
    }
    logins = {
        (test.get("src"), f"{dst}:{SSH_PORT}", "ssh")
        for test in policy.get("sshTests") or []
        for dst in (test.get("dst") or [] if ROOT in (test.get("accept") or []) else [])
    }
    tested |= logins
    return all((each["src"], each["dst"], each["proto"]) in tested for each in needs if _is_tag(each["src"]))


def with_tests(
    wanted: Policy | None, current: object, before: Collection[str], after: Collection[str], foretell: bool
) -> tuple[object, object]:
    """The policy in force, and what it must be once nodes have the tags ``after``: only tests differ.

    wanted: None leaves all tests that can be run. before: the tags that nodes had when the policy was set. foretell:
    whether that was in check mode, so that it is not in force. One with other rules is not touched.
    """
    if wanted is None:
        return current, with_testable(current, after) if isinstance(current, dict) else current
    if foretell:
        current = to_have(wanted, current, before)
    elif not same_rules(wanted, current):
        return current, current
    return current, with_testable(wanted, after)


def judge(headscale: Headscale, policy: Policy, needs: Iterable[Mapping[str, str]], ends: Collection[str]) -> None:
    """Have Headscale check the policy, and that it leaves open what is needed between tags and people that are there.

    RefusedError when it does not, with what would be lost in words.
    """
    wanted = {
        (each["src"], each["dst"], each["proto"]): each["what"]
        for each in needs
        if each["src"] in ends and _host(each["dst"]) in ends
    }
    tests = [{"src": src, "proto": proto, "accept": [dst]} for src, dst, proto in wanted if proto != "ssh"]
    logins = [{"src": src, "dst": [_host(dst)], "accept": [ROOT]} for src, dst, proto in wanted if proto == "ssh"]
    judged = {**policy, "tests": [*(policy.get("tests") or []), *tests]}
    if logins:
        # Of a tag that the policy does not know, Headscale would not even run the test.
        ends = {end for src, dst, proto in wanted if proto == "ssh" for end in (src, _host(dst))}
        judged["tagOwners"] = {**{end: [] for end in filter(_is_tag, ends)}, **(policy.get("tagOwners") or {})}
        judged["sshTests"] = [*(policy.get("sshTests") or []), *logins]
    text = json.dumps(judged)
    try:
        headscale.call("POST", CHECK, {"policy": text})
    except ApiError as exc:
        if exc.status in UNKNOWN:
            return
        if exc.status == UNAUTHORIZED:
            raise
        raise RefusedError(told(exc.reason, wanted)) from None


def put(call: Call, policy: object, before: object, tags: Collection[str]) -> None:
    """Set the policy. On any failure the one from before is in force again, also where Headscale took it half.

    tags: those that nodes have.
    """
    try:
        call("PUT", POLICY, {"policy": as_text(policy)})
    except HeadscaleError:
        if before is not None:
            with contextlib.suppress(HeadscaleError):
                put_back(call, before, tags)
        raise


def put_back(call: Call, before: object, tags: Collection[str]) -> None:
    """Set a policy that was in force. That its tests no longer hold is no reason against it."""
    policy = with_testable(before, tags) if isinstance(before, dict) else before
    try:
        call("PUT", POLICY, {"policy": as_text(policy)})
    except ApiError:
        if policy == _rules(policy):
            raise
        call("PUT", POLICY, {"policy": as_text(_rules(policy))})


def as_text(policy: object) -> str:
    """As Headscale keeps it; a person's own text as it is."""
    return policy if isinstance(policy, str) else json.dumps(policy, indent=2, sort_keys=True)


def difference(before: object, after: object) -> dict[str, str]:
    """The diff of two policies; of two that differ in their tests, only these."""
    what, shown = "the policy", (before, after)
    if before != after and same_rules(before, after):
        what, shown = "the policy's tests", (_tests(before), _tests(after))
    texts = [each if isinstance(each, str) else f"{as_text(each)}\n" if each else "" for each in shown]
    return {"before_header": what, "after_header": what, "before": texts[0], "after": texts[1]}


def _rules(policy: object) -> object:
    return {key: each for key, each in policy.items() if key not in TESTS} if isinstance(policy, dict) else policy


def _tests(policy: object) -> object:
    """The tests alone."""
    return {key: policy[key] for key in TESTS if policy.get(key)} if isinstance(policy, dict) else {}


def _testable(test: Mapping[str, t.Any], tags: Collection[str]) -> dict[str, t.Any]:
    """The test without what it says of tags that no node has; empty if nothing is left of it."""
    if not _is_there(str(test.get("src")), tags):
        return {}
    if "dst" in test:  # of SSH: what it asserts are users of all these
        found = {**test, "dst": [each for each in test["dst"] if _is_there(each, tags)]}
        return found if found["dst"] else {}
    lists = {key: [each for each in test[key] if _is_there(_host(each), tags)] for key in LISTS if key in test}
    found = {**test, **lists}
    return {key: each for key, each in found.items() if each or key not in LISTS} if any(lists.values()) else {}


def _is_there(name: str, tags: Collection[str]) -> bool:
    return not _is_tag(name) or name in tags


def _is_tag(name: str) -> bool:
    return name.startswith("tag:")


def _host(destination: str) -> str:
    """Of HOST:PORT."""
    return destination.rpartition(":")[0]


def _assertions(policy: Policy) -> Iterator[str]:
    """Each single thing that the tests of a policy assert."""
    for key in TESTS:
        for test in policy.get(key) or []:
            for kind in LISTS:
                for each, dst in itertools.product(test.get(kind) or [], test.get("dst") or [""]):
                    yield json.dumps([key, test.get("src"), test.get("proto"), dst, kind, each])
