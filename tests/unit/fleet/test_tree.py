# SPDX-License-Identifier: MIT
"""Where the base tree comes from, and when it is another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet import FleetError, tree


@pytest.mark.parametrize(
    ("targets", "mirror"),
    [
        ("Packages|bookworm|bookworm|main|http://deb.example/debian/\n", "http://deb.example/debian/"),
        ("Packages|stable|bookworm|main|https://deb.example/debian\n", "https://deb.example/debian/"),
        ("Packages|bookworm||main|http://deb.example/debian/\n", "http://deb.example/debian/"),
        ("Packages|bookworm|bookworm|main|file:/srv/debian/\n", "file:/srv/debian/"),
        (
            "DEP-11|bookworm|bookworm|main|http://dep.example/\n"
            "Packages|bookworm-security|bookworm-security|main|http://security.example/\n"
            "Packages|bookworm|bookworm|contrib|http://contrib.example/\n"
            "Packages|bookworm|bookworm|main|cdrom:[Debian]/\n"
            "Packages|bookworm|bookworm|main|http://right.example/\n",
            "http://right.example/",
        ),
    ],
)
def test_the_mirror_is_the_one_that_apt_uses(targets: str, mirror: str) -> None:
    assert tree.mirror(targets) == mirror


def test_a_list_of_mirrors_stands_for_its_first(tmp_path: Path) -> None:
    listed = tmp_path / "mirrors.list"
    listed.write_text("http://first.example/debian\thttp://second.example/debian\n", encoding="utf-8")
    assert tree.mirror(f"Packages|bookworm|bookworm|main|mirror+file:{listed}/\n") == "http://first.example/debian/"


@pytest.mark.parametrize("targets", ["", "Packages|noble|noble|main|http://ubuntu.example/\n"])
def test_a_machine_without_the_suite_is_told_what_to_add(targets: str) -> None:
    with pytest.raises(FleetError, match=r"no http, https or file source of Debian bookworm main.*sources\.list\.d"):
        tree.mirror(targets)


def test_another_set_of_packages_is_another_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree.key()
    monkeypatch.setattr(tree, "PACKAGES", f"{tree.PACKAGES},jq")
    assert tree.key() != before
