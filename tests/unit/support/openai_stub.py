# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP server that answers like trtllm-serve 1.2.1, to be given faults."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.tests.unit.support.triton_stub import RECORDED, TritonStub, as_json

WORDS = ["Cloud", " computing", " lets", " people", " use", " computers", " of", " others", "."]
USAGE = {"prompt_tokens": 5, "completion_tokens": len(WORDS), "total_tokens": 5 + len(WORDS)}


def refused(message: str) -> dict[str, t.Any]:
    error = {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400}
    return as_json(error, status=400)


class OpenAiStub(TritonStub):
    """A healthy server, until its attributes or routes are changed."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = WORDS
        self.streamed: list[str] | None = None
        self.field = "content"
        self.usage: dict[str, int] = USAGE
        self.ending = "data: [DONE]\n\n"
        self.routes = {
            "GET /health": RECORDED["ok"],
            "GET /v1/models": as_json({"object": "list", "data": [{"id": "smol", "object": "model"}]}),
            "POST /v1/chat/completions": self.chat,
            "POST /v1/completions": self.complete,
        }

    def chat(self, asked: t.Any) -> dict[str, t.Any]:
        if asked is None:
            return refused("Invalid JSON: EOF while parsing an object")
        if "no_such_field" in asked:
            return refused("no_such_field: Extra inputs are not permitted")
        if asked.get("stream"):
            return self._stream()
        message = {"role": "assistant", "content": None, self.field: "".join(self.words)}
        return as_json({"choices": [{"message": message, "finish_reason": "stop"}], "usage": self.usage})

    def complete(self, asked: t.Any) -> dict[str, t.Any]:
        if len(asked["prompt"]) > 1000:
            return refused("default_max_tokens (-24) must be greater than 0")
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return as_json({"choices": [{"text": " there", "finish_reason": "length"}], "usage": usage})

    def _stream(self) -> dict[str, t.Any]:
        words = self.words if self.streamed is None else self.streamed
        chunks: list[dict[str, t.Any]] = [{"choices": [{"delta": {"role": "assistant"}}]}]
        chunks += [{"choices": [{"delta": {self.field: word}}]} for word in words]
        chunks += [{"choices": [{"delta": {}, "finish_reason": "stop"}]}, {"choices": [], "usage": self.usage}]
        events = [f"data: {as_json(chunk)['parts'][0]}\n\n" for chunk in chunks]
        return {"status": 200, "type": "text/event-stream; charset=utf-8", "parts": [*events, self.ending]}
