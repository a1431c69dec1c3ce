# SPDX-License-Identifier: MIT
"""What modules can do in check mode and with --diff, where there is no more to say about it."""

from __future__ import annotations


class ModuleDocFragment:
    FULL = r"""
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: posix
"""

    NO_DIFF = r"""
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: posix
"""

    NONE = r"""
attributes:
  check_mode:
    support: none
  diff_mode:
    support: none
  platform:
    platforms: posix
"""
