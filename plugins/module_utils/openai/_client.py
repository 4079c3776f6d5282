# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A client for the OpenAI API of trtllm-serve."""

from __future__ import annotations

import json
import typing as t
from http import HTTPStatus

from ansible_collections.tritonops.trtllm.plugins.module_utils.release._http import (
    HttpClient,
    Refused,
    parse_error,
    without_error,
)

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
DONE = "[DONE]"


class OpenAiClient(HttpClient):
    def is_live(self) -> bool:
        return self.status("/health") == HTTPStatus.OK

    def models(self) -> list[str]:
        """The names under which the server says that it serves models."""
        cards = _objects(self.json("GET", "/v1/models"), "data")
        return [str(card.get("id")) for card in cards]

    def create(self, path: str, body: t.Mapping[str, t.Any], timeout: float | None = None) -> dict[str, t.Any]:
        answer = self.json("POST", path, body=body, timeout=timeout or self.deadline.timeout(self.deadline.seconds))
        if not isinstance(answer, dict):
            raise Refused(f"the response of {path} is not an object: {str(answer)[:200]}", HTTPStatus.OK)
        return answer

    def generates(self, model: str, timeout: float | None = None) -> bool:
        """Request a token. Only this notices a worker that is dead or stuck: /health only asks the first process.

        A completion needs no chat template. A server that is busy, or still compiles, can take long.
        """
        name = model or (self.models() or ["default"])[0]
        answer = self.create(
            COMPLETIONS, {"model": name, "prompt": "Hello", "max_tokens": 1, "temperature": 0}, timeout
        )
        return usage_of(answer).get("completion_tokens", 0) > 0

    def stream(self, path: str, body: t.Mapping[str, t.Any]) -> t.Iterator[dict[str, t.Any]]:
        """The chunks, as they arrive. A stream that ends without its last event was broken off."""
        for data in self.events(path, {**body, "stream": True, "stream_options": {"include_usage": True}}):
            if data == DONE:
                return
            yield _chunk(data)
        raise Refused(f"the stream ended without {DONE}", HTTPStatus.OK)

    def refusal(self, path: str, content: str) -> tuple[int, str]:
        """The status and the message of the answer to a request that must be refused."""
        headers = {"Content-Type": "application/json"}
        timeout = self.deadline.timeout(self.deadline.seconds)
        with self._request("POST", path, data=content.encode("utf-8"), headers=headers, timeout=timeout) as response:
            return response.status_code, parse_error(response.text)

    def metrics(self) -> str:
        """The metrics in Prometheus' format; empty if the server has none."""
        with self._request("GET", "/prometheus/metrics", timeout=self.deadline.timeout()) as response:
            return response.text if response.status_code == HTTPStatus.OK else ""


def _chunk(data: str) -> dict[str, t.Any]:
    try:
        chunk = json.loads(data)
    except ValueError as exc:
        raise Refused(f"an event of the stream is not JSON: {data[:200]}", HTTPStatus.OK) from exc
    if not isinstance(chunk, dict):
        raise Refused(f"an event of the stream is not an object: {data[:200]}", HTTPStatus.OK)
    return without_error(chunk, HTTPStatus.OK)


def _objects(answer: t.Any, name: str) -> list[dict[str, t.Any]]:
    found = answer.get(name) if isinstance(answer, dict) else None
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def choice_of(answer: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The first choice; empty if there is none, as in the last chunk of a stream."""
    return (_objects(answer, "choices") or [{}])[0]


def usage_of(answer: t.Mapping[str, t.Any]) -> dict[str, int]:
    usage = answer.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return {name: count for name, count in counts.items() if isinstance(count, int)}
