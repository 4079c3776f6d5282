# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Requests of the watchdog to its server, and signs that a server that does not answer in time is at work."""

from __future__ import annotations

import json
import re
import typing as t
from contextlib import suppress
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.openai import _answer as openai
from ansible_collections.tritonops.trtllm.plugins.module_utils.openai._client import OpenAiClient
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._answer import judge_answer
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._http import Deadline
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._completion import Completion, Request, complete
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._http import TritonClient

Options = t.Mapping[str, t.Any]

# The watchdog runs with the Python of the modules, which has it.
with suppress(ImportError):
    import requests

METRICS_TIMEOUT = 2
# Early versions of trtllm-serve wait for new statistics, for 2 s.
ITERATIONS_TIMEOUT = 3
MAX_METRICS = 4 << 20
# Counters that only grow while the server works. Requests that fail do not count, and neither do gauges: the number of
# waiting requests also changes while nothing works. Triton's iteration counter has had two names, and early versions of
# trtllm-serve have no prefix.
SERVE_WORK = ("request_success_total", "num_requests_completed_total", "prompt_tokens_total", "generation_tokens_total")
_WORK = re.compile(
    r"^(?:nv_inference_(?:request_success|exec_count)"
    r"|nv_trt_llm_general_(?:metrics|statistics)(?=\{[^}]*general_type=\"iteration_counter\")"
    rf"|(?:trtllm_)?(?:{'|'.join(SERVE_WORK)}))"
    r"(?:\{[^}]*\})?\s+([0-9.eE+]+)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Prompt:
    """What is asked to prove a server. `max_tokens` is for Triton; releases of trtllm-serve say how many they need."""

    text: str
    max_tokens: int


class Probe(t.Protocol):
    """How a server is asked. A fault says why there was no answer; it is empty if there was one."""

    def ask(self, timeout: float) -> str:
        """Ask for one token."""

    def prove(self, timeout: float) -> str:
        """Ask for the completion that proves a release."""

    def progress(self) -> float | None:
        """The amount of work that the server has done; None if it is unknown."""


class TritonProbe:
    def __init__(self, endpoint: Options, proof: Options, prompt: Prompt) -> None:
        self._url = _url(endpoint, endpoint["http_port"])
        # The last of the ports is that of the metrics.
        self._metrics_url = f"{_url(endpoint, endpoint['ports'][-1])}/metrics"
        self._model, self._max_tokens_field = proof["model"], proof["max_tokens_field"]
        self._prompt = prompt

    def ask(self, timeout: float) -> str:
        try:
            # The text does not matter: a single token can be a space.
            self._complete(1, timeout)
        except ModuleFailure as exc:
            return str(exc)
        return ""

    def prove(self, timeout: float) -> str:
        try:
            answer = self._complete(self._prompt.max_tokens, timeout)
        except ModuleFailure as exc:
            return str(exc)
        return _not_an_answer(judge_answer(self._prompt.text, answer.text, answer.cut).fault)

    def progress(self) -> float | None:
        return work_done(_read(self._metrics_url, METRICS_TIMEOUT))

    def _complete(self, tokens: int, timeout: float) -> Completion:
        request = Request(
            model=self._model,
            prompt=self._prompt.text,
            max_tokens_field=self._max_tokens_field,
            max_tokens=tokens,
        )
        return complete(TritonClient(self._url, Deadline(timeout)), request)


class OpenAiProbe:
    """For trtllm-serve."""

    def __init__(self, endpoint: Options, proof: Options, prompt: Prompt) -> None:
        self._url = _url(endpoint, endpoint["http_port"])
        self._model = endpoint["model"]
        asked = {name: proof[name] for name in ("max_tokens", "chat", "reasoning")}
        self._request = openai.Request(model=self._model, prompt=prompt.text, **asked)

    def ask(self, timeout: float) -> str:
        try:
            return "" if self._client(timeout).generates(self._model) else "the server returned no token"
        except ModuleFailure as exc:
            return str(exc)

    def prove(self, timeout: float) -> str:
        try:
            answer = openai.ask(self._client(timeout), self._request)
        except ModuleFailure as exc:
            return str(exc)
        return _not_an_answer(openai.judge(self._request, answer).fault)

    def progress(self) -> float | None:
        """Early versions only count requests that have ended, so the iterations count as well.

        A version without one of them, or with no iteration since the last time, has less work than before, which is no
        progress.
        """
        counted = work_done(_read(f"{self._url}/prometheus/metrics", METRICS_TIMEOUT))
        iteration = last_iteration(_read(f"{self._url}/metrics", ITERATIONS_TIMEOUT))
        known = [work for work in (counted, iteration) if work is not None]
        return sum(known) if known else None

    def _client(self, timeout: float) -> OpenAiClient:
        return OpenAiClient(self._url, Deadline(timeout))


PROBES: dict[str, t.Callable[[Options, Options, Prompt], Probe]] = {"triton": TritonProbe, "openai": OpenAiProbe}
# Of the role release_service, for releases that were not planned.
ENDPOINTS: dict[str, Options] = {
    "triton": {"address": "127.0.0.1", "http_port": 8000, "ports": [8000, 8001, 8002]},
    "openai": {"address": "127.0.0.1", "http_port": 8000, "model": ""},
}
PROOFS: dict[str, Options] = {
    "triton": {"model": "ensemble", "max_tokens_field": "max_tokens"},
    "openai": {"chat": True, "reasoning": False, "max_tokens": 64},
}


def probe_of(service: t.Any, prompt: Prompt) -> Probe:
    """The probe for a release, by what its record says about how it is served."""
    try:
        api = service["api"]
        endpoint, proof = {**ENDPOINTS[api], **service["endpoint"]}, {**PROOFS[api], **service["proof"]}
        return PROBES[api](endpoint, proof, prompt)
    except (KeyError, IndexError, TypeError) as exc:
        raise ModuleFailure(f"the record of the release does not say how it is served: {exc!r}") from exc


def work_done(metrics: str) -> float | None:
    """The sum of the counters of work in metrics in Prometheus' text format; None if there are none."""
    counters = _WORK.findall(metrics)
    try:
        return sum(map(float, counters)) if counters else None
    except ValueError:
        return None


def last_iteration(statistics: str) -> float | None:
    """The number of the last iteration in the statistics of trtllm-serve; None if there is none."""
    try:
        return max((float(entry["iter"]) for entry in json.loads(statistics)), default=None)
    except (ValueError, TypeError, KeyError):
        return None


def _not_an_answer(fault: str) -> str:
    return f"the completion is not an answer: {fault}" if fault else ""


def _url(endpoint: Options, port: int) -> str:
    address = endpoint["address"]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def _read(url: str, timeout: float) -> str:
    """Empty if it cannot be read."""
    session = requests.Session()
    session.trust_env = False
    try:
        with session.get(url, timeout=timeout, stream=True) as response:
            return str(response.raw.read(MAX_METRICS, decode_content=True).decode("utf-8", "replace"))
    except (requests.exceptions.RequestException, OSError):
        return ""
