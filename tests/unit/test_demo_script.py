# SPDX-License-Identifier: MIT
"""What demo.sh decides by the system it is on and by its options. Stand-ins of programs tell it where it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STANDINS = {
    "bin/uname": '#!/bin/sh\necho "$SYSTEM"\n',
    "bin/id": '#!/bin/sh\necho "$WHO"\n',
    "bin/limactl": "#!/bin/sh\n",
    "bin/go": "#!/bin/sh\n",
    ".venv/bin/python": '#!/bin/sh\necho "$@"\n',
    "tools/venv.sh": "mesh_venv() { :; }\n",
    "tools/packages.sh": 'mesh_packages() { echo "packages $1"; }\n',
}
PROGRAMS = ("bash", "sh", "dirname", "basename", "cat", "date", "realpath", "env")  # of the real ones, all that it gets


class Place:
    """A checkout with nothing but demo.sh in it, on a machine that claims to be another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(ROOT / "demo.sh", folder)
        for name, text in STANDINS.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755)
        for name in PROGRAMS:
            (folder / "bin" / name).symlink_to(t.cast("str", shutil.which(name)))

    def run(self, *arguments: str, system: str, root: bool = False) -> tuple[int, str]:
        environment = {"PATH": str(self.folder / "bin"), "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            [str(self.folder / "demo.sh"), *arguments],
            env={**environment, "SYSTEM": system, "WHO": "0" if root else "1000"},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=20,
            check=False,
        )
        return done.returncode, done.stdout.strip().replace(os.path.realpath(self.folder), ".")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


LIMA = "--provider lima --topology ./lima/topologies/mac.yml"


def test_on_a_mac_the_demo_is_virtual_machines(place: Place) -> None:
    status, said = place.run("up", system="Darwin")
    assert (status, said.splitlines()[-1]) == (0, f"-m fleet.demo up {LIMA}")


def test_on_linux_the_demo_is_containers(place: Place) -> None:
    said = place.run("inventory", system="Linux", root=True)
    assert said == (0, "-m fleet inventory --provider nspawn --topology demo")


@pytest.mark.parametrize(
    ("arguments", "called"),
    [
        (["status", "--json"], f"-m fleet.demo status {LIMA} --json"),
        (["ssh", "manager", "id", "-u"], f"-m fleet ssh {LIMA} manager id -u"),
        (["inventory"], f"-m fleet inventory {LIMA}"),
        (["down"], f"-m fleet down {LIMA}"),
    ],
)
def test_each_command_goes_to_virtual_machines_where_asked(place: Place, arguments: list[str], called: str) -> None:
    assert place.run("--provider", "lima", *arguments, system="Linux") == (0, called)


def test_the_provider_may_stand_behind_the_name_of_a_host(place: Place) -> None:
    said = place.run("ssh", "box", "--provider", "lima", "--topology", "./x.yml", "ls", "--provider", system="Linux")
    assert said == (0, "-m fleet ssh --provider lima --topology ././x.yml box ls --provider")


def test_virtual_machines_need_no_package_of_debian(place: Place) -> None:
    assert "packages" not in place.run("up", "--provider=lima", system="Linux")[1]


@pytest.mark.parametrize(
    ("arguments", "system", "root", "told"),
    [
        (["--provider", "nspawn"], "Darwin", True, "the provider nspawn needs Linux"),
        ([], "Linux", False, "root is needed, for network namespaces, mounts and containers: run sudo ./demo.sh"),
        (["--provider", "lima"], "Linux", True, "limactl does not run as root: run this as an ordinary user"),
        (["--provider", "vagrant"], "Linux", True, "there is no provider 'vagrant': say nspawn or lima"),
        (["--provider"], "Linux", True, "--provider needs nspawn or lima"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    place: Place, arguments: list[str], system: str, root: bool, told: str
) -> None:
    status, said = place.run(*arguments, system=system, root=root)
    assert (status != 0, told in said, "\n" in said) == (True, True, False)


@pytest.mark.parametrize(("program", "formula"), [("limactl", "lima"), ("go", "go")])
def test_a_missing_program_is_named_with_what_installs_it(place: Place, program: str, formula: str) -> None:
    (place.folder / "bin" / program).unlink()
    assert place.run(system="Darwin") == (1, f"demo.sh: there is no {program}: brew install {formula}")


def test_down_needs_no_go(place: Place) -> None:
    (place.folder / "bin" / "go").unlink()
    assert place.run("down", system="Darwin") == (0, f"-m fleet down {LIMA}")
