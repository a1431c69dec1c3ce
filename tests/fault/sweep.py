# SPDX-License-Identifier: MIT
"""Looks for secrets, in all their forms, wherever a run may have left them."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fault.ground import Ground

HERE = Path(__file__).parent
SHORTEST = 16  # characters of a form that is still no accident
LEFT_ON_CONTROLLER = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108
SECONDS = 60


def forms(secret: str) -> set[bytes]:
    """A secret as it may appear: itself, a key without its prefix, PEM lines; each also in base64 and hexadecimal."""
    texts = {secret.strip(), *re.findall(r"[0-9a-f]{48,}", secret)}
    if "-----BEGIN" in secret:
        texts = {line for line in secret.splitlines() if line and "-----" not in line}
    raw = {text.encode() for text in texts}
    raw |= {bytes.fromhex(text) for text in texts if re.fullmatch(r"(?:[0-9a-f]{2})+", text)}
    found = set()
    for each in raw:
        found |= {each, each.hex().encode(), each.hex().upper().encode()}
        for shift in range(3):  # where it may begin in a longer text that is encoded
            encoded = base64.b64encode(bytes(shift) + each).rstrip(b"=")[shift + 1 if shift else 0 : -1]
            found |= {encoded, encoded.replace(b"+", b"-").replace(b"/", b"_")}
    return {each for each in found if len(each) >= SHORTEST}


@dataclasses.dataclass
class Trace:
    """What was seen while something ran."""

    output: bytes = b""
    processes: list[bytes] = dataclasses.field(default_factory=list)
    samples: int = 0
    join_keys: list[str] = dataclasses.field(default_factory=list)


@contextlib.contextmanager
def traced(ground: Ground, hosts: list[str]) -> Iterator[Trace]:
    """Meanwhile processes are sampled everywhere, and the join keys that come to these hosts are noted."""
    trace = Trace()
    source = (HERE / "secret_host.py").read_text(encoding="utf-8")
    commands = [[sys.executable, str(HERE / "sampler.py")]]
    commands += [ground.on(host, "python3", "-c", source) for host in hosts]
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(_piped(command)) for command in commands]
        for process in running[1:]:
            _write(process, "watch\n")
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()  # it is at work
        try:
            yield trace
        finally:
            said = [process.communicate(timeout=SECONDS)[0].splitlines() for process in running]
            trace.samples = int(said[0][0])
            trace.processes = [base64.b64decode(line) for line in said[0][1:]]
            trace.join_keys = [line for lines in said[1:] for line in lines]


def secrets(ground: Ground) -> set[str]:
    """Those of all hosts."""
    return {secret for host in ground.hosts for secret in json.loads(_ask(ground, host, "collect\n"))}


def sweep(ground: Ground, wanted: set[str], trace: Trace, since: float) -> list[str]:
    """Every place that holds one of these secrets."""
    patterns = {form for secret in wanted for form in forms(secret)}
    places = [f"{host}: {place}" for host in ground.hosts for place in _on_host(ground, host, patterns)]
    kept = {"the output": trace.output, "a process": b"\0".join(trace.processes)}
    for path in _on_controller(ground, since):
        with contextlib.suppress(OSError):
            kept[f"controller: {path}"] = path.read_bytes()
    return places + [name for name, content in kept.items() if any(each in content for each in patterns)]


def _on_host(ground: Ground, host: str, patterns: set[bytes]) -> list[str]:
    lines = "".join(base64.b64encode(each).decode() + "\n" for each in sorted(patterns))
    return t.cast("list[str]", json.loads(_ask(ground, host, f"sweep\n{lines}")))


def _on_controller(ground: Ground, since: float) -> list[Path]:
    """What was written since then, in temporary directories and where Ansible and the fleet keep what they know."""
    places = [*map(Path, LEFT_ON_CONTROLLER), Path.home() / ".ansible", ground.inventory_file.parent]
    found = []
    for place in places:
        for directory, _, names in os.walk(place):
            for path in (Path(directory, name) for name in names):
                with contextlib.suppress(OSError):
                    if path.is_file() and not path.is_symlink() and path.stat().st_mtime >= since:
                        found.append(path)
    return found


def _ask(ground: Ground, host: str, question: str) -> str:
    source = (HERE / "secret_host.py").read_text(encoding="utf-8")
    command = ground.on(host, "python3", "-c", source)
    done = subprocess.run(command, input=question, capture_output=True, text=True, timeout=SECONDS, check=True)
    return done.stdout


def _piped(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _write(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()
