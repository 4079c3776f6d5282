# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes of the server, those of its version only."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from trtllm_cpu import log

from . import chat, completions
from .protocol import ChatRequest, CompletionRequest, request_model
from .service import Service, event

Handler = Callable[[Request], Awaitable[Response]]


def make_app(service: Service) -> Starlette:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        service.llm.shutdown()

    routes = [
        Route(path, handler, methods=[method])
        for method, path, handler in Routes(service).all()
        if path in service.version["routes"]
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def error_body(text: str, code: int, kind: str = "BadRequestError") -> dict[str, Any]:
    """Without the outer object that OpenAI's errors have."""
    return {"object": "error", "message": text, "type": kind, "param": None, "code": code}


class Routes:
    def __init__(self, service: Service):
        self._service = service
        self._models = {kind: request_model(kind, service.version) for kind in (ChatRequest, CompletionRequest)}

    def all(self) -> list[tuple[str, str, Handler]]:
        routes: list[tuple[str, str, Handler]] = [
            ("GET", "/health", self.health),
            ("GET", "/health_generate", self.health_generate),
            ("GET", "/version", self.version),
            ("GET", "/v1/models", self.models),
            ("POST", "/v1/chat/completions", self.chat),
            ("POST", "/v1/completions", self.completions),
            ("GET", "/metrics", self.iterations),
            ("GET", "/perf_metrics", self.requests),
        ]
        if self._service.arguments["return_perf_metrics"]:
            routes.append(("GET", "/prometheus/metrics", self.prometheus))
        return routes

    async def health(self, _http: Request) -> Response:
        """Versions differ in whether they notice that the workers are gone."""
        if self._service.version["dead_workers"] == "unhealthy" and not self._service.llm.executor.is_alive():
            return Response("LLM is unavailable. Please check the server logs for more details.", 503)
        return Response(status_code=200)

    async def health_generate(self, http: Request) -> Response:
        request = ChatRequest(
            model=self._service.served_name,
            messages=[{"role": "user", "content": "hi"}],
            max_tokens=1,
            temperature=0.0,
        )
        try:
            answers = self._service.start(request, [self._service.chat_prompt(request)])
            await self._service.finished(answers, http)
        except Exception as error:
            return JSONResponse(error_body(f"Health check failed: {error}", 500, "InternalServerError"), 500)
        return Response("Generation health check OK")

    async def version(self, _http: Request) -> Response:
        return JSONResponse({"version": self._service.version["version"]})

    async def models(self, _http: Request) -> Response:
        card = {
            "id": self._service.served_name,
            "object": "model",
            "created": int(time.time()),
            "owned_by": "tensorrt_llm",
        }
        return JSONResponse({"object": "list", "data": [card]})

    async def iterations(self, _http: Request) -> Response:
        return JSONResponse(self._service.metrics.take_iterations())

    async def requests(self, _http: Request) -> Response:
        return JSONResponse(self._service.metrics.take_requests())

    async def prometheus(self, _http: Request) -> Response:
        return Response(self._service.metrics.text(), media_type="text/plain; version=0.0.4")

    async def chat(self, http: Request) -> Response:
        return await self._answer(http, ChatRequest, lambda request: [self._service.chat_prompt(request)], chat)

    async def completions(self, http: Request) -> Response:
        return await self._answer(http, CompletionRequest, lambda request: request.prompts, completions)

    async def _answer(
        self, http: Request, kind: type[Any], prompts: Callable[[Any], list[Any]], answering: Any
    ) -> Response:
        try:
            request: Any = self._models[kind].model_validate_json(await http.body())
        except ValidationError as error:
            return self._invalid(str(error))
        # upstream gives every other error this status, its own faults included
        try:
            answers = self._service.start(request, prompts(request))
            if request.stream:
                chunks = answering.stream(self._service, request, answers)
                return StreamingResponse(self._watched(chunks), media_type="text/event-stream")
            await self._service.finished(answers, http)
            return JSONResponse(answering.response(self._service, request, answers))
        except Exception as error:
            log.warning(f"a request failed: {error}")
            return self._failed(error_body(str(error), 400))

    async def _watched(self, chunks: AsyncIterator[str]) -> AsyncIterator[str]:
        """An error in a stream is its last event, or breaks the connection off."""
        try:
            async for chunk in chunks:
                yield chunk
        except Exception as error:
            self._service.metrics.failed(500)
            if self._service.version["stream_error"] == "break":
                raise
            yield event({"error": {"message": str(error), "type": "server_error"}})
            yield "data: [DONE]\n\n"

    def _invalid(self, text: str) -> Response:
        full = self._service.version["validation_error"] == "full"
        return self._failed(error_body(text, 400) if full else {"error": text})

    def _failed(self, body: dict[str, Any]) -> Response:
        self._service.metrics.failed(400)
        return JSONResponse(body, 400)
