# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""One transaction at a time on a host."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible.module_utils.basic import AnsibleModule


@contextlib.contextmanager
def only_run(module: AnsibleModule, directory: str) -> Iterator[None]:
    """Keep two runs from working on one host at once: the second waits for the first one's transaction.

    Of a run that is killed, a command may go on (a copy of data, say). So commands hold the lock, too.
    """
    # A directory can be locked too, and leaves no lock file behind.
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        module.run_command = functools.partial(module.run_command, pass_fds=(descriptor,))  # type: ignore[method-assign]
        yield
    finally:
        os.close(descriptor)
