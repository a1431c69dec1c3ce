# SPDX-License-Identifier: MIT
"""No secret is left or shown anywhere, whether a run succeeds or fails; and a planted one is found in every place."""

from __future__ import annotations

import base64
import contextlib
import pwd
import subprocess
import time
import typing as t

import pytest

from tests.fault.ground import ROOT
from tests.fault.homelab import homelab
from tests.fault.stories import COORDINATOR, NODE, STORIES, Story
from tests.fault.sweep import Trace, forms, secrets, sweep, traced

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.fault.ground import Ground
    from tests.fault.rounds import Bare

RATE = 90  # of a hundred samples a second, on a machine that has more to do
PUBLIC = {b"hello.wm.test"}  # what every place that a run leaves must hold, or the sweep looks elsewhere
CANARY = "canary-5e1f0c9d7b3a48e2"


class Told(t.NamedTuple):
    """A story as it went: how its play ended, what was seen, and where a secret, or what is none, was found."""

    status: int
    trace: Trace
    found: list[str]
    public: list[str]


def tell(ground: Ground, lines: tuple[str, ...]) -> None:
    for line in lines:
        host, _, script = line.partition(": ")
        ground.run(host, script)


def certificates(ground: Ground) -> Path:
    return ground.inventory_file.parent.parent / "certificates"


def play(ground: Ground, story: Story, place: Path, inventory: Path) -> tuple[int, str]:
    """Its play, with everything switched on that keeps what a play says."""
    kept = {"ANSIBLE_CACHE_PLUGIN": "jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(place / "facts")}
    kept["ANSIBLE_LOG_PATH"] = str(place / "ansible.log")
    key = f"{certificates(ground)}/{COORDINATOR}.key"
    arguments = [each.replace("KEY", key).replace("HOMELAB", str(inventory)) for each in story.arguments]
    if not story.by_runner:
        return ground.play_loudly("-vvvv", *arguments, environment=kept)
    command = ["ansible-runner", "run", str(place / "runner"), "--project-dir", str(ROOT), "--playbook", "site.yml"]
    command += ["--inventory", str(ground.inventory_file), "--cmdline=-vvvv --diff"]
    return ground.call(command, environment=kept)


@pytest.fixture(params=STORIES, ids=lambda story: story.name)
def told(request: pytest.FixtureRequest, ground: Ground, bare: Bare, tmp_path: Path) -> Iterator[tuple[Story, Told]]:
    assert bare.done
    story, since = request.param, time.time()
    inventory, given = homelab(tmp_path, certificates(ground), COORDINATOR, NODE)
    wanted = secrets(ground) | given
    tell(ground, story.before)
    try:
        with traced(ground, [NODE]) as trace:
            status, output = play(ground, story, tmp_path, inventory)
        trace.output = output.encode()
        wanted |= secrets(ground) | set(trace.join_keys)
        patterns = {form for secret in wanted for form in forms(secret)}
        public = sweep(ground, PUBLIC, trace, since) if story.by_runner else []
        # Where a person keeps them, they are.
        found = [place for place in sweep(ground, patterns, trace, since) if place != f"controller: {inventory}"]
        yield story, Told(status, trace, found, public)
    finally:
        tell(ground, story.after)
        if story.mend:
            ground.play(*story.mend)


def test_no_secret_is_anywhere(told: tuple[Story, Told]) -> None:
    story, went = told
    assert went.found == []
    assert (went.status == 0, bool(went.trace.join_keys)) == (story.succeeds, story.mints)
    assert went.trace.rate >= RATE
    if story.by_runner:
        kept = ("the output", "/job_events/", "/stdout", "/fact_cache/", "ansible.log", "result.json")
        assert [each for each in kept if not any(each in place for place in went.public)] == []


OF_ROOT = pwd.getpwuid(0).pw_dir
# On the node, as root: where, and how it comes there.
ON_NODE: dict[str, Callable[[str], str]] = {
    "/etc/canary": lambda word: f"echo x{base64.b64encode(f'xx{word}'.encode()).decode()} >/etc/canary",
    "/usr/share/canary": lambda word: f"echo {word.encode().hex()} >/usr/share/canary",
    "/tmp/canary": lambda word: f"umask 077; echo {word} >/tmp/canary",  # noqa: S108
    f"{OF_ROOT}/.ansible/tmp/canary": lambda word: f"umask 077; echo {word} >~/.ansible/tmp/canary",
    "/var/log/canary": lambda word: f"umask 077; echo {word} >/var/log/canary",
    "the journal": lambda word: f"systemd-cat echo {word}; sleep 1",
}
# Of the controller, where others, or nobody, can read it.
HERE = (
    "result.json.canary",
    "/runner/artifacts/1/job_events/1.json",
    "/facts/canary",
    "/ansible.log",
    ".ansible/canary",
)
PROCESSES = {
    "its arguments": lambda word: f"sh -c 'sleep 0.3' {word}",
    "its environment": lambda word: f"CANARY={word} sleep 0.3",
}


class Planted(t.NamedTuple):
    found: list[str]
    trace: Trace


@pytest.fixture(scope="module")
def planted(ground: Ground, bare: Bare, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    """One secret in all places at once, but another one for each process."""
    assert bare.done
    since, place = time.time() - 1, tmp_path_factory.mktemp("planted")
    files = [
        ground.inventory_file.parent / HERE[0],
        *(place / each.lstrip("/") for each in HERE[1:-1]),
        ROOT / HERE[-1],
    ]
    with contextlib.ExitStack() as stack:
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(CANARY, encoding="utf-8")
            path.chmod(0o644)
            stack.callback(path.unlink)
        for make in ON_NODE.values():
            ground.run(NODE, make(CANARY))
        stack.callback(ground.run, NODE, f"rm -f {' '.join(path for path in ON_NODE if path.startswith('/'))}")
        with traced(ground, [NODE]) as trace:
            for what, make in PROCESSES.items():
                ground.run(NODE, make(f"{CANARY}-{what.split()[1]}-node"))
                script = make(f"{CANARY}-{what.split()[1]}-controller")
                subprocess.run(["bash", "-c", script], check=True, timeout=10)
        trace.output = CANARY.encode()
        yield Planted(sweep(ground, forms(CANARY), trace, since), trace)


@pytest.mark.parametrize("place", ON_NODE)
def test_a_secret_planted_on_a_node_is_found(planted: Planted, place: str) -> None:
    assert f"{NODE}: {place}" in planted.found


@pytest.mark.parametrize("place", ["the output", *HERE])
def test_a_secret_planted_on_the_controller_is_found(planted: Planted, place: str) -> None:
    assert [each for each in planted.found if each.endswith(place) and NODE not in each] != []


@pytest.mark.parametrize("where", ["node", "controller"])
@pytest.mark.parametrize("what", ["arguments", "environment"])
def test_a_secret_planted_in_a_process_is_found(planted: Planted, what: str, where: str) -> None:
    assert planted.trace.search({f"{CANARY}-{what}-{where}".encode()}) == ["a process"]


def test_what_is_no_secret_is_found_nowhere(planted: Planted, ground: Ground) -> None:
    assert sweep(ground, forms(f"{CANARY}-elsewhere"), planted.trace, time.time()) == []
