# SPDX-License-Identifier: MIT
"""A page that names its node, on each port that it serves: page.py NAME ADDRESS PORT... (runs on hosts)."""

import http.server
import sys
import threading

NAME, ADDRESS, PORTS = sys.argv[1], sys.argv[2], [int(port) for port in sys.argv[3:]]
PAGE = f"<!doctype html>\n<title>{NAME}</title>\n<p>This page is served by {NAME}.</p>\n".encode()


class Page(http.server.BaseHTTPRequestHandler):
    """The same answer to every path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(PAGE)

    do_HEAD = do_GET

    def log_message(self, *args: object) -> None:
        """Health checks would fill the journal."""


servers = [http.server.ThreadingHTTPServer((ADDRESS, port), Page) for port in PORTS]
for server in servers[1:]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
servers[0].serve_forever()
