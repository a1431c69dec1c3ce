# SPDX-License-Identifier: MIT
"""The hosts on which modules are killed: what Ansible sends to them is recorded once; agents replay it and kill it."""

from __future__ import annotations

import concurrent.futures
import gzip
import hashlib
import json
import subprocess
import typing as t
from pathlib import Path

from tests.fault.ground import ROLES
from tests.fault.kills.calls import SENT, Call, last_of_each

if t.TYPE_CHECKING:
    from tests.fault.ground import Ground
    from tests.fault.kills.jobs import Job

HERE = Path(__file__).parent
ROOT = "/run/kills"
ON_HOST = (
    *(HERE / f"{name}.py" for name in ("agent", "judge", "look", "record", "syscalls", "trap", "tunnel")),
    HERE.parent / "fingerprint.py",
)
RECORD = f"ansible_python_interpreter={ROOT}/record.py"
FETCH = f"shopt -s nullglob; for each in {ROOT}/calls/[0-9]*; do cat $each; printf '\\0'; done"
# Whatever somebody sends is kept by a name that its path is in; only the last part, its hash, is needed.
SHORTEN = f'shopt -s nullglob; cd {SENT}; for each in *%*; do mv "$each" "${{each##*%}}"; done'
COMMAND_SECONDS, AGENT_SECONDS = 120, 4 * 60 * 60


class World:
    """A ground, with agents on its hosts."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._builds: dict[str, tuple[str, bytes]] = {}

    def record(self, *more: str) -> dict[str, dict[str, Call]]:
        """Provision the hosts by Ansible, and play these playbooks too; the calls that each of them got."""
        for host in self._ground.hosts:
            for path in ON_HOST:
                self._put(host, f"{ROOT}/{path.name}", path.read_bytes())
            self._run(host, f"chmod 755 {ROOT}/record.py")
        self._ground.play("--extra-vars", RECORD, playbooks=[*ROLES, *more])
        calls = {}
        for host in self._ground.hosts:
            # What a host is asked without Ansible's library is no text.
            texts = self._run(host, f"mkdir -p {ROOT}/calls {SENT}; {FETCH}").decode(errors="replace").split("\0")
            calls[host] = last_of_each(texts)
            self._run(host, SHORTEN)
        return calls

    def other_builds(self, host: str, call: Call) -> dict[str, str]:
        """Other bytes of a daemon's programs that do the same, put on the host; their hashes by those of the first."""
        hashes = {}
        for digest in [each["sha256"] for each in call.arguments.get("binaries", {}).get("x86_64", [])]:
            if digest not in self._builds:
                # What follows an ELF file is not read, and one gzip file may follow another.
                archive = self._run(host, f"cat {SENT}/{digest}") + gzip.compress(b"\n", mtime=0)
                self._builds[digest] = hashlib.sha256(gzip.decompress(archive)).hexdigest(), archive
            hashes[digest], archive = self._builds[digest]
            self._put(host, f"{SENT}/{hashes[digest]}", archive)
        return hashes

    def hand_over(self, call: Call, source: str, target: str) -> None:
        """Let another host have what was sent for this call."""
        for digest in call.arguments["uploads"]:
            self._put(target, f"{SENT}/{digest}", self._run(source, f"cat {SENT}/{digest}"))

    def keep(self, host: str, path: str, content: str) -> None:
        self._put(host, path, content.encode())

    def kill(self, jobs: t.Mapping[str, t.Sequence[Job]], share: float, seed: str) -> list[dict[str, t.Any]]:
        """Do the jobs, on all hosts side by side; all that the agents said."""

        def work(host: str) -> list[dict[str, t.Any]]:
            said = []
            for job in jobs[host]:
                for name, call in job.calls.items():
                    self._put(host, f"{ROOT}/calls/{name}", call.text.encode())
                told = json.dumps(job.told(share, f"{seed} {host}"))
                said += [{"host": host, **each} for each in self._agent(host, told)]
            return said

        with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
            return [each for said in pool.map(work, jobs) for each in said]

    def _agent(self, host: str, told: str) -> list[dict[str, t.Any]]:
        done = subprocess.run(
            self._ground.on(host, "python3", f"{ROOT}/agent.py"),
            input=told,
            capture_output=True,
            text=True,
            timeout=AGENT_SECONDS,
            check=False,
        )
        said = [json.loads(line) for line in done.stdout.splitlines()]
        if done.returncode != 0 and not any(each["kind"] == "broken" for each in said):
            said.append({"kind": "broken", "why": done.stderr[-2000:]})
        return said

    def _run(self, host: str, script: str, content: bytes = b"") -> bytes:
        command = self._ground.on(host, "bash", "-ec", script)
        done = subprocess.run(command, input=content, capture_output=True, timeout=COMMAND_SECONDS, check=False)
        if done.returncode != 0:
            raise AssertionError(f"on {host}: {script}: {done.stderr[-2000:].decode()}")
        return done.stdout

    def _put(self, host: str, path: str, content: bytes) -> None:
        """With a name that an agent which runs never sees half-written."""
        self._run(host, f"mkdir -p {Path(path).parent}; cat >{path}.part; mv {path}.part {path}", content)
