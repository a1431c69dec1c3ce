# SPDX-License-Identifier: MIT
"""A page that names its node, or an echo of what it is sent: page.py NAME ADDRESS KIND:PORT... (runs on hosts).

http and tls serve the page, or echo as a WebSocket, tls with a certificate made for this node at each start, and any in
both ways. tcp says the node's name and then echoes, udp puts the name before what came.
"""

import base64
import hashlib
import http.server
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading

NAME, ADDRESS, KINDS = sys.argv[1], sys.argv[2], [each.split(":") for each in sys.argv[3:]]
PAGE = f"<!doctype html>\n<title>{NAME}</title>\n<p>This page is served by {NAME}.</p>\n".encode()
WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
HELLO = b"\x16"  # the type of TLS's first record
CERTIFICATE = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout {0} -out {0} -subj"


class Page(http.server.BaseHTTPRequestHandler):
    """The same answer to every path, with the client's address as the request's headers tell it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self._echo()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        for name, value in self.headers.items():
            if name.lower() in ("x-forwarded-for", "x-real-ip", "true-client-ip", "forwarded"):
                self.send_header(f"Seen-{name}", value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(PAGE)

    def _echo(self) -> None:
        """A WebSocket that gives each frame back as it came."""
        key = self.headers.get("Sec-WebSocket-Key", "").encode() + WEBSOCKET
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade")):
            self.send_header(name, value)
        accept = base64.b64encode(hashlib.sha1(key, usedforsecurity=False).digest()).decode()
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        while said := self.connection.recv(65536):
            self.connection.sendall(said)
        self.close_connection = True

    do_HEAD = do_GET

    def log_message(self, *args: object) -> None:
        """Health checks would fill the journal."""


class Stream(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.request.sendall(f"{NAME}\n".encode())
        while said := self.request.recv(65536):
            self.request.sendall(said)


class Packet(socketserver.DatagramRequestHandler):
    def handle(self) -> None:
        self.wfile.write(f"{NAME} ".encode() + self.rfile.read())


class Streams(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


class Pages(http.server.ThreadingHTTPServer):
    """Without a look at names, which may wait for a resolver."""

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = NAME, self.server_address[1]


class Any(Pages):
    """With TLS for those who begin like that."""

    def __init__(self, where: tuple[str, int]) -> None:
        self._context = own_certificate()
        super().__init__(where, Page)

    def finish_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: tuple[str, int] | str
    ) -> None:
        if isinstance(request, socket.socket):
            request.settimeout(10)
            if request.recv(1, socket.MSG_PEEK) == HELLO:
                request = self._context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)


def own_certificate() -> ssl.SSLContext:
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        subprocess.run(
            [*CERTIFICATE.format(file.name).split(), f"/CN={NAME}"], check=True, capture_output=True, timeout=30
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file.name)
    return context


def server(kind: str, port: int) -> socketserver.BaseServer:
    where = (ADDRESS, port)
    if kind == "tcp":
        return Streams(where, Stream)
    if kind == "udp":
        return socketserver.UDPServer(where, Packet)
    if kind == "any":
        return Any(where)
    pages = Pages(where, Page)
    if kind == "tls":
        pages.socket = own_certificate().wrap_socket(pages.socket, server_side=True)
    return pages


servers = [server(kind, int(port)) for kind, port in KINDS]
for each in servers[1:]:
    threading.Thread(target=each.serve_forever, daemon=True).start()
servers[0].serve_forever()
