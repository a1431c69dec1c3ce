# SPDX-License-Identifier: MIT
"""For all tests."""

from __future__ import annotations

import signal

# test.sh starts some runs in the background, where a shell lets programs ignore Ctrl-C, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
