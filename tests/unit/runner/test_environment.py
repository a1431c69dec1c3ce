# SPDX-License-Identifier: MIT
"""execution-environment.yml gives a build context for a container image; the image itself is not built here."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SECONDS = 120


def call(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is said above execution-environment.yml, done beside a copy of it."""
    folder = tmp_path_factory.mktemp("environment")
    shutil.copy(ROOT / "execution-environment.yml", folder)
    call(folder, "ansible-galaxy", "collection", "build", str(ROOT), "--output-path", str(folder))
    call(folder, "ansible-builder", "create", "--output-filename", "Containerfile")
    return folder / "context"


def test_the_image_is_told_how_it_is_made(context: Path) -> None:
    said = (context / "Containerfile").read_text(encoding="utf-8")
    assert re.search(r'^ARG EE_BASE_IMAGE="fedora:\d+"$', said, re.MULTILINE)


def test_the_collection_is_in_the_context_and_is_what_gets_installed(context: Path) -> None:
    (archive,) = (context / "_build" / "collections").iterdir()
    wanted = (context / "_build" / "requirements.yml").read_text(encoding="utf-8")
    assert f"collections/{archive.name}" in wanted


def test_the_image_gets_what_a_run_needs_of_python(context: Path) -> None:
    """All of requirements.in but what only a checkout needs."""
    lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    needed = {line.split("==")[0].split()[0] for line in lines if line and not line.startswith("#")} - {"pip"}
    given = (context / "_build" / "requirements.txt").read_text(encoding="utf-8").split()
    assert needed - {"ansible-core"} == set(given)


def test_ansible_core_and_ansible_runner_are_those_that_are_tested(context: Path) -> None:
    lock = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^(ansible-(?:core|runner)==\S+)", lock, re.MULTILINE)
    said = (context / "Containerfile").read_text(encoding="utf-8")
    assert f'ARG ANSIBLE_INSTALL_REFS="{" ".join(pins)}"' in said
