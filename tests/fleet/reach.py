# SPDX-License-Identifier: MIT
"""Until all peers echo: prints how many seconds that took for each, or null. It runs on a host, as `python3 -`.

Arguments: the seconds after which it gives up, the port, and NAME=ADDRESS for each peer.
"""

from __future__ import annotations

import concurrent.futures
import json
import socket
import sys
import time

BEGAN = time.monotonic()
TRY_SECONDS = 0.3  # a lost packet is repeated after one second, and a new connection is sooner


def main() -> None:
    limit, port = float(sys.argv[1]), int(sys.argv[2])
    peers = dict(each.split("=") for each in sys.argv[3:])
    with concurrent.futures.ThreadPoolExecutor(len(peers)) as pool:
        found = [pool.submit(reach, address, port, limit) for address in peers.values()]
        print(json.dumps({name: each.result() for name, each in zip(peers, found, strict=True)}))


def reach(address: str, port: int, limit: float) -> float | None:
    while time.monotonic() - BEGAN < limit:
        try:
            with socket.create_connection((address, port), timeout=TRY_SECONDS) as sock:
                sock.sendall(b"mesh-probe 1 echo 4".ljust(191) + b"\nping")
                if sock.recv(4):
                    return time.monotonic() - BEGAN
        except OSError:
            time.sleep(0.05)
    return None


main()
