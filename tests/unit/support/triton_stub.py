# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP server that replays recorded answers of Triton 2.51.0."""

from __future__ import annotations

import json
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

RECORDED: dict[str, t.Any] = json.loads((Path(__file__).parent / "recordings/triton.json").read_text(encoding="utf-8"))

STALL = "stall"  # no answer, as from a stopped process
HANG_UP = "hang up"  # the connection is closed without an answer, as by a killed process


class TritonStub:
    """Routes map "METHOD path" to an answer, a function of the request, or a list, the last of which is repeated."""

    def __init__(self) -> None:
        self.routes: dict[str, t.Any] = {
            "GET /v2/health/live": RECORDED["ok"],
            "GET /v2/health/ready": RECORDED["ok"],
            "GET /v2": RECORDED["server"],
            "POST /v2/repository/index": RECORDED["index_ready"],
            "GET /v2/models/ensemble": RECORDED["metadata"],
            "GET /v2/models/ensemble/ready": RECORDED["ok"],
            "GET /v2/models/lm/ready": RECORDED["ok"],
            "POST /v2/models/ensemble/generate": RECORDED["generate"],
            "POST /v2/models/ensemble/generate_stream": RECORDED["stream"],
        }
        self.requests: list[tuple[str, t.Any]] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, route: str) -> t.Any:
        answer = self.routes.get(route, RECORDED["unknown_model"])
        if isinstance(answer, list):
            return answer.pop(0) if len(answer) > 1 else answer[0]
        return answer

    def __enter__(self) -> TritonStub:
        threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.02), daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = parsed(body)
                stub.requests.append((f"{self.command} {self.path}", asked))
                answer = stub.answer(f"{self.command} {self.path}")
                answer = answer(asked) if callable(answer) else answer
                if answer == STALL:
                    stub.closing.wait()
                elif answer != HANG_UP:
                    self._send(answer)
                self.close_connection = True

            def _send(self, answer: dict[str, t.Any]) -> None:
                self.send_response(answer["status"])
                self.send_header("Content-Type", answer["type"])
                self.send_header("Connection", "close")
                self.end_headers()
                for part in answer["parts"]:
                    if part == STALL:
                        stub.closing.wait()
                        return
                    self.wfile.write(part.encode("utf-8"))
                    self.wfile.flush()

            def log_message(self, *_args: object) -> None:
                pass

        return Handler


def parsed(body: bytes) -> t.Any:
    """None if it is not JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def noted_timeouts(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The timeouts of all further requests."""
    noted: list[float] = []
    request = requests.Session.request

    def noting(self: requests.Session, *arguments: t.Any, **options: t.Any) -> requests.Response:
        noted.append(options["timeout"])
        return request(self, *arguments, **options)

    monkeypatch.setattr(requests.Session, "request", noting)
    return noted


def as_json(value: t.Any, status: int = 200) -> dict[str, t.Any]:
    return {"status": status, "type": "application/json", "parts": [json.dumps(value)]}


def as_events(*values: t.Any, status: int = 200) -> dict[str, t.Any]:
    parts = [value if value == STALL else f"data: {json.dumps(value)}\n\n" for value in values]
    return {"status": status, "type": "text/event-stream; charset=utf-8", "parts": parts}
