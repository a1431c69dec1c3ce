# SPDX-License-Identifier: MIT
"""Talk over a WebSocket through a gateway until a file is there: websocket.py GATEWAY NAME FILE (runs on the stranger).

Says as JSON how many frames came back as they were sent, and what went wrong, "" for nothing.
"""

import base64
import json
import os
import socket
import ssl
import sys
import time

GATEWAY, NAME, FILE = sys.argv[1:]
ASK = "\r\n".join(
    [
        "GET / HTTP/1.1",
        f"Host: {NAME}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "",
        "",
    ]
).encode()
frames, error = 0, ""
try:
    with (
        socket.create_connection((GATEWAY, 443), 10) as plain,
        ssl.create_default_context().wrap_socket(plain, server_hostname=NAME) as sock,
    ):
        sock.sendall(ASK)
        answer = sock.makefile("rb")
        status = answer.readline()
        if b" 101 " not in status:
            raise OSError(f"no WebSocket: {status!r}")
        while answer.readline().strip():
            pass
        until = time.monotonic() + 90
        while not os.path.exists(FILE) and time.monotonic() < until:
            frame = b"\x82\x8a" + bytes(4) + os.urandom(10)  # ten bytes of data, masked by zeros
            sock.sendall(frame)
            if answer.read(len(frame)) != frame:
                raise OSError("the echo was another, or none")
            frames += 1
            time.sleep(0.05)
except OSError as exc:
    error = str(exc)
print(json.dumps({"frames": frames, "error": error}))
