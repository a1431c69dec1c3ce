# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What the controller keeps of a WireGuard mesh beside the inventory: the registry, and the mesh secret."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import tempfile
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems, is_full_path
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_registry import Registry, RegistryError
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_secret import KEY_BYTES, SecretError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory

REGISTRY_FILE, SECRET_FILE = "wireguard-registry.json", "wireguard-secret"


class Known:
    """The two files of one inventory; path_dwim: how Ansible reads a path."""

    def __init__(
        self, inventory: Inventory, hostvars: Mapping[str, Mapping[str, t.Any]], path_dwim: Callable[[str], str]
    ) -> None:
        self._used = inventory.backend == "wireguard"
        self._directory = next(
            (
                str(hostvars[host]["inventory_dir"])
                for host in inventory.members()
                if hostvars[host].get("inventory_dir")
            ),
            ".",
        )
        self._inventory, self._path_dwim = inventory, path_dwim

    @property
    def registry_file(self) -> str:
        return self._path("wireguard_registry_file", REGISTRY_FILE)

    @property
    def secret_file(self) -> str:
        return self._path("wireguard_secret_file", SECRET_FILE)

    def read(self) -> Registry:
        """The registry; empty where there is none yet. Raises RegistryError."""
        if not self._used:
            return Registry()
        path = self.registry_file
        try:
            with open(path, encoding="utf-8") as stream:
                return Registry.parse(stream.read())
        except FileNotFoundError:
            return Registry()
        except OSError as exc:
            raise RegistryError(f"the wireguard registry {path} cannot be read: {exc.strerror}") from exc
        except (RegistryError, UnicodeDecodeError) as exc:
            raise RegistryError(f"the wireguard registry {path}: {exc}") from exc

    def write(self, registry: Registry) -> None:
        """Replace the file at once. Raises OSError."""
        _replace(self.registry_file, registry.dumps(), 0o644)

    def has_secret(self) -> bool:
        return os.path.lexists(self.secret_file)

    def make_secret(self) -> None:
        """A new mesh secret, which its owner alone can read from its first moment. Raises SecretError."""
        text = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
        try:
            _replace(self.secret_file, f"{text}\n", 0o600)
        except OSError as exc:
            reason = exc.strerror or exc
            fix = "set wireguard_secret_file to a file that can be written"
            raise SecretError(f"the mesh secret {self.secret_file} cannot be written: {reason}; {fix}") from exc

    def _path(self, variable: str, default: str) -> str:
        value = self._inventory.everywhere(variable, Problems())
        path = value if is_full_path(value) else os.path.join(self._directory, default)
        return self._path_dwim(os.path.expanduser(path))


def _replace(path: str, text: str, mode: int) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".wireguard-")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
