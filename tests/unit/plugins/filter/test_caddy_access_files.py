# SPDX-License-Identifier: MIT

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.filter.caddy_access_files import FilterModule, caddy_access_files
from ansible_collections.wonder.mesh.plugins.filter.caddy_config import caddy_config
from tests.unit.plugins.plugin_utils.mesh_world import model
from tests.unit.plugins.plugin_utils.test_service_access import BLOG, HASH, nas

USERS = {"alice": HASH, "bob": HASH}


def guarded(**keys: t.Any) -> t.Any:
    return model(**nas(BLOG | keys, users=USERS))


def test_a_hash_is_a_secret_that_only_caddy_reads() -> None:
    assert caddy_access_files(guarded(basic_auth=["alice"]), "edge", USERS) == [
        {"path": "/etc/caddy/certificates/user-alice", "content": f"{HASH}\n", "secret": True,
         "owner": "caddy", "group": "caddy", "mode": "0400", "on_change": "reload"},
    ]  # fmt: skip


def test_the_authority_of_clients_is_a_file_beside() -> None:
    (file,) = caddy_access_files(guarded(client_certificates="ca.pem"), "edge", {}, "/c")
    assert (file["path"], file["source"], file["mode"]) == ("/c/clients-blog.example.com.pem", "ca.pem", "0640")


def test_the_configuration_names_these_files_and_holds_no_hash() -> None:
    mesh = guarded(basic_auth=["alice", "bob"], client_certificates="ca.pem")
    text = str(caddy_config(mesh, "edge"))
    paths = [each["path"] for each in caddy_access_files(mesh, "edge", USERS)]
    assert len(paths) == 3
    assert all(path in text for path in paths)
    assert "$2y$" not in text


def test_who_is_no_gateway_knows_nobody() -> None:
    assert caddy_access_files(guarded(basic_auth=["alice"]), "hub", {}) == []


@pytest.mark.parametrize("users", [{}, {"alice": None}, {"bob": HASH}])
def test_refuses_a_user_without_a_hash(users: dict[str, t.Any]) -> None:
    with pytest.raises(AnsibleFilterError, match="caddy_access_files: there is no hash for the user alice"):
        caddy_access_files(guarded(basic_auth=["alice"]), "edge", users)


@pytest.mark.parametrize(("model_of", "users"), [(5, {}), (None, {}), ("mesh", ["alice"])])
def test_refuses_what_is_no_model_and_no_users(model_of: object, users: object) -> None:
    mesh = guarded(basic_auth=["alice"]) if model_of == "mesh" else model_of
    with pytest.raises(AnsibleFilterError, match="caddy_access_files: ") as caught:
        caddy_access_files(mesh, "edge", users)
    assert HASH not in str(caught.value)


def test_is_known_by_its_name() -> None:
    assert FilterModule().filters() == {"caddy_access_files": caddy_access_files}
