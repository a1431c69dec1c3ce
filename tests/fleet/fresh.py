# SPDX-License-Identifier: MIT
"""Ask with a new connection each time until a file is there: fresh.py GATEWAY NAME FILE (runs on the stranger).

Says as JSON how many requests were answered with 200, and what became of the others.
"""

import collections
import http.client
import json
import os
import socket
import ssl
import sys
import threading
import time

GATEWAY, NAME, FILE = sys.argv[1:]
CLIENTS = 4
CONTEXT = ssl.create_default_context()
found: collections.Counter[str] = collections.Counter()
until = time.monotonic() + 90


class Connection(http.client.HTTPSConnection):
    def connect(self) -> None:
        self.sock = CONTEXT.wrap_socket(socket.create_connection((GATEWAY, 443), 10), server_hostname=NAME)


def ask() -> None:
    while not os.path.exists(FILE) and time.monotonic() < until:
        connection = Connection(NAME, timeout=10)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            answer = connection.getresponse()
            answer.read()
            found[str(answer.status)] += 1
        except (OSError, http.client.HTTPException) as exc:
            found[repr(exc)] += 1
        finally:
            connection.close()


clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
for each in clients:
    each.start()
for each in clients:
    each.join()
print(json.dumps({"served": found.pop("200", 0), "others": found}))
