# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kills the module on the first request from its build; answers later requests."""

from __future__ import annotations

import os
import signal
import ssl
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

lock, killed = Path(sys.argv[1]), Path("/srv/killed")


class Gate(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if not killed.exists():
            pid = int(lock.read_text())
            os.kill(pid, signal.SIGKILL)
            killed.write_text(f"{pid}\n")
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"open")


server = HTTPServer(("127.0.0.1", 7443), Gate)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/srv/tls/gate.crt", "/srv/tls/gate.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
