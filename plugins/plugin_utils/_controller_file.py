# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Files of the user on the controller."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleError

if t.TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader


def read_local(loader: DataLoader, path: str) -> bytes:
    """The content, found from the playbook's directory on; a vaulted one is decrypted. Raises OSError."""
    try:
        found = loader.path_dwim(os.path.expanduser(path))
        if os.path.exists(found) and not os.path.isdir(found) and not os.path.isfile(found):
            raise OSError("it is no file that has an end")
        with open(found, "rb") as stream:  # get_real_file says less well what is wrong with a file
            stream.read(1)
        real = loader.get_real_file(found)
        try:
            with open(real, "rb") as stream:
                return stream.read()
        finally:
            loader.cleanup_tmp_file(real)
    except (AnsibleError, ValueError) as exc:  # a vault without its password, a path with a zero byte
        raise OSError(str(exc)) from exc
