# SPDX-License-Identifier: MIT
"""Looks for secrets, in all their forms, wherever a run may have left them."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import re
import stat
import subprocess
import sys
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fault.ground import Ground

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SHORTEST = 16  # characters of a form that is still no accident
LARGEST = 64 << 20  # bytes
# Whoever may read them, nothing secret belongs here.
NOWHERE = ("/tmp", "/var/tmp", "/dev/shm", "/var/log")  # noqa: S108
NOT_WRITTEN = {".git", ".venv"}  # by a play, and they are large
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

    # Not shown when a test fails: there may be secrets in it.
    output: bytes = dataclasses.field(default=b"", repr=False)
    processes: list[bytes] = dataclasses.field(default_factory=list, repr=False)
    rate: float = 0.0  # samples of all processes in a second
    join_keys: list[str] = dataclasses.field(default_factory=list, repr=False)

    def search(self, patterns: set[bytes]) -> list[str]:
        kept = {"the output": self.output, "a process": b"\0".join(self.processes)}
        return [name for name, content in kept.items() if _holds(content, patterns)]


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
            samples, seconds = map(float, said[0][0].split())
            trace.rate = samples / seconds
            trace.processes = [base64.b64decode(line) for line in said[0][1:]]
            trace.join_keys = [line for lines in said[1:] for line in lines]


def secrets(ground: Ground) -> set[str]:
    """Those of all hosts."""
    said = _ask_all(ground, "collect\n")
    return {secret for each in said.values() for secret in json.loads(each)}


def sweep(ground: Ground, patterns: set[bytes], trace: Trace, since: float) -> list[str]:
    """Every place that holds one of these patterns: hosts, what was seen, and what was written here since then."""
    lines = "".join(base64.b64encode(each).decode() + "\n" for each in sorted(patterns))
    said = _ask_all(ground, f"sweep\n{lines}")
    found = [f"{host}: {place}" for host, each in said.items() for place in json.loads(each)] + trace.search(patterns)
    for path in _on_controller(ground, since):
        with contextlib.suppress(OSError), path.open("rb") as stream:
            if _holds(stream.read(LARGEST), patterns):
                found.append(f"controller: {path}")
    return found


def _on_controller(ground: Ground, since: float) -> Iterator[Path]:
    """What was written since then: where nothing secret belongs, and what others can read in the checkout."""
    place = ground.inventory_file.parent
    for directory in (*map(Path, NOWHERE), Path.home() / ".ansible", place):
        yield from _written(directory, since)
    yield from (place.parent / "hosts").glob("*/console.log")
    yield from (path for path in _written(ROOT, since) if path.stat().st_mode & stat.S_IROTH)


def _written(top: Path, since: float) -> Iterator[Path]:
    for directory, names, leaves in os.walk(top):
        names[:] = [name for name in names if name not in NOT_WRITTEN]
        for path in (Path(directory, name) for name in leaves):
            with contextlib.suppress(OSError):
                if path.is_file() and not path.is_symlink() and path.stat().st_mtime >= since:
                    yield path


def _holds(content: bytes, patterns: set[bytes]) -> bool:
    return any(each in content for each in patterns)


def _ask_all(ground: Ground, question: str) -> dict[str, str]:
    """What secret_host.py says on each host, all at once."""
    source = (HERE / "secret_host.py").read_text(encoding="utf-8")

    def ask(host: str) -> str:
        command = ground.on(host, "python3", "-c", source)
        done = subprocess.run(command, input=question, capture_output=True, text=True, timeout=SECONDS, check=True)
        return done.stdout

    with concurrent.futures.ThreadPoolExecutor() as pool:
        return dict(zip(ground.hosts, pool.map(ask, ground.hosts), strict=True))


def _piped(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _write(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()
