# SPDX-License-Identifier: MIT
"""Talk on one stream of each kind until DIRECTORY has the file `done`: talk.py DIRECTORY (runs on the stranger).

Leaves a file `talk-KIND` there for each stream that is open. Prints one JSON object: for each kind how many words were
said, and how the stream ended ("" if it did not).
"""

import contextlib
import json
import socket
import ssl
import sys
import threading
import time
import typing as t
from pathlib import Path

DIRECTORY = Path(sys.argv[1])
DONE = DIRECTORY / "done"
PATIENCE = 5.0  # seconds for an answer
TRIES = 5
MOST = 90.0  # seconds in all
PAUSE = 0.1

Say = t.Callable[[bytes], bytes]


def tcp() -> Say:
    sock = socket.create_connection(("edge.wm.test", 5432), PATIENCE)
    stream = sock.makefile("rwb")
    stream.readline()

    def say(word: bytes) -> bytes:
        stream.write(word + b"\n")
        stream.flush()
        return stream.readline().strip()

    return say


def udp() -> Say:
    """A packet may be lost in the moment of a reload, so a word is said again; its answer must come to this socket."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE / TRIES)
    sock.connect(("edge.wm.test", 9999))

    def say(word: bytes) -> bytes:
        for _ in range(TRIES):
            with contextlib.suppress(socket.timeout):
                sock.send(word)
                while sock.recv(2000).split()[-1] != word:
                    pass  # the answer to an earlier word, late
                return word
        return b"silence"

    return say


def tls() -> Say:
    """One connection that is kept: each word is a request, and the answer is that it was answered."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sock = context.wrap_socket(socket.create_connection(("git.wm.test", 443), PATIENCE), server_hostname="git.wm.test")

    def say(word: bytes) -> bytes:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: git.wm.test\r\n\r\n")
        said = b""
        while not said.endswith(b"</p>\n"):
            more = sock.recv(4096)
            if not more:
                return b"the end"
            said += more
        return word

    return say


def talk(kind: str, start: t.Callable[[], Say], found: t.Dict[str, t.Any]) -> None:  # noqa: UP006
    words, ended, until = 0, "", time.monotonic() + MOST
    try:
        say = start()
        (DIRECTORY / f"talk-{kind}").touch()
        while not DONE.exists() and not ended:
            word = b"%d" % words
            answer = say(word)
            ended = "" if answer == word else f"{word!r} was answered by {answer!r}"
            words += 1
            ended = ended or ("nobody said that it is over" if time.monotonic() > until else "")
            time.sleep(PAUSE)
    except OSError as exc:
        ended = repr(exc)
    found[kind] = {"words": words, "ended": ended}


found: t.Dict[str, t.Any] = {}  # noqa: UP006
threads = [threading.Thread(target=talk, args=(each.__name__, each, found)) for each in (tcp, udp, tls)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(found))
