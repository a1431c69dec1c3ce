# SPDX-License-Identifier: MIT
"""Two virtual machines, made and provisioned once by demo.sh for all tests here, which `tests/lima/person` runs."""

from __future__ import annotations

import os
import sys
import typing as t
from pathlib import Path

import pytest

from fleet import provider
from tests.lima import image
from tests.lima.machines import TOPOLOGY, Machines

if t.TYPE_CHECKING:
    from collections.abc import Iterator

# Lima only looks whether there is a /dev/kvm; this way it does not matter whether it works.
EMULATOR = "qemu-system-x86_64 -machine q35,vmport=off -accel tcg,thread=multi,tb-size=256"
os.environ["QEMU_SYSTEM_X86_64"] = EMULATOR
os.environ["ANSIBLE_NOCOLOR"] = "1"
os.environ["ANSIBLE_TIMEOUT"] = "120"  # seconds until sudo has answered; an emulated machine takes its time


@pytest.fixture(scope="session")
def limactl() -> None:
    """On PATH."""
    assert os.geteuid() != 0, "limactl refuses root: run these tests by ./test.sh lima"
    places = [str(Path(sys.executable).parent), str(image.program(print) / "bin")]
    os.environ["PATH"] = os.pathsep.join([*places, os.environ["PATH"]])


@pytest.fixture(scope="session")
def machines(request: pytest.FixtureRequest, limactl: None) -> Iterator[Machines]:
    """Both, up and provisioned."""
    state = provider.state("lima", TOPOLOGY)
    settings = state.path / "lima" / "_config" / "override.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(image.override(image.ensure(print)), encoding="utf-8")
    world = Machines(state)
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        try:
            world.demo("up")
            yield world
        finally:
            world.demo("down")
