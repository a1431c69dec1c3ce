# SPDX-License-Identifier: MIT
"""The socket of wireguard-go, with a server in its place that answers as the text protocol has it."""

from __future__ import annotations

import contextlib
import socket
import threading
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import Change, Device, Peer, PeerChange
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import WireGuardError
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_uapi import UserspaceDevice

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ONE, OTHER, SECRET = (bytes([number]) * 32 for number in (1, 2, 3))
SHOWN = f"""\
private_key={SECRET.hex()}
listen_port=51820
public_key={ONE.hex()}
preshared_key={SECRET.hex()}
protocol_version=1
endpoint=[2001:db8::7]:51821
last_handshake_time_sec=1700000000
last_handshake_time_nsec=5
tx_bytes=11
rx_bytes=22
persistent_keepalive_interval=25
allowed_ip=10.77.0.1/32
allowed_ip=fd77::1/128
public_key={OTHER.hex()}
preshared_key={bytes(32).hex()}
protocol_version=1
last_handshake_time_sec=0
last_handshake_time_nsec=0
tx_bytes=0
rx_bytes=0
persistent_keepalive_interval=0
errno=0

"""


class Server:
    """Gives each connection this answer, in two parts, and keeps what it was asked."""

    def __init__(self, path: Path, answer: str) -> None:
        self.asked: list[str] = []
        self._answer = answer.encode()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                with client:
                    asked = b""
                    while not asked.endswith(b"\n\n"):
                        asked += client.recv(1 << 16)
                    self.asked.append(asked.decode())
                    half = len(self._answer) // 2
                    client.sendall(self._answer[:half])
                    client.sendall(self._answer[half:])


@contextlib.contextmanager
def serving(path: Path, answer: str) -> Iterator[Server]:
    server = Server(path, answer)
    try:
        yield server
    finally:
        server.close()


def test_a_device_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "wm0.sock"
    with serving(path, SHOWN) as server:
        found = UserspaceDevice(str(path)).get()
    assert server.asked == ["get=1\n\n"]
    networks = frozenset({"10.77.0.1/32", "fd77::1/128"})
    one = Peer(ONE, SECRET, ("2001:db8::7", 51821), 25, networks, 1700000000, 22, 11)
    assert found == Device(SECRET, 51820, {ONE: one, OTHER: Peer(OTHER)})


def test_a_change_names_what_it_changes_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "wm0.sock"
    new = PeerChange(ONE, new=True, preshared_key=SECRET, endpoint=("2001:db8::7", 9), keepalive=25, replace=True)
    old = PeerChange(OTHER, endpoint=("192.0.2.1", 9), allowed_ips=("10.77.0.2/32",))
    with serving(path, "errno=0\n\n") as server:
        UserspaceDevice(str(path)).set(Change(port=51821, peers=(PeerChange(SECRET, remove=True), new, old)))
    assert server.asked == [
        f"set=1\nlisten_port=51821\npublic_key={SECRET.hex()}\nremove=true\n"
        f"public_key={ONE.hex()}\npreshared_key={SECRET.hex()}\nendpoint=[2001:db8::7]:9\n"
        f"persistent_keepalive_interval=25\nreplace_allowed_ips=true\n"
        f"public_key={OTHER.hex()}\nupdate_only=true\nendpoint=192.0.2.1:9\nallowed_ip=10.77.0.2/32\n\n"
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [("errno=-98\n\n", "Address already in use"), ("", "no whole answer"), ("listen_port=1\n", "no whole answer")],
)
def test_what_is_refused_or_torn_is_said_without_a_secret(tmp_path: Path, answer: str, said: str) -> None:
    path = tmp_path / "wm0.sock"
    with serving(path, answer), pytest.raises(WireGuardError, match=said) as raised:
        UserspaceDevice(str(path)).set(Change(private_key=SECRET))
    assert SECRET.hex() not in str(raised.value)


def test_a_socket_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WireGuardError, match=r"none\.sock"):
        UserspaceDevice(str(tmp_path / "none.sock")).get()
