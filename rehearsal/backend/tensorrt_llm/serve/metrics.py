# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics: Prometheus metrics with the version's names, iteration statistics, and performance by request."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from trtllm_cpu.generation import Step

from tensorrt_llm import RequestOutput

from .kv_cache import KvCache
from .versions import Version

disable_created_metrics()

KINDS = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}
LABELS = {
    "ep_rank_active": ("ep_rank",),
    "model_config_info": ("model", "served_model_name", "dtype", "quantization", "max_model_len", "gpu_type"),
    "parallel_config_info": (
        "tensor_parallel_size",
        "pipeline_parallel_size",
        "context_parallel_size",
        "gpu_count",
        "expert_parallel_size",
    ),
    "request_error_total": ("http_code",),
    "request_success_total": ("finished_reason",),
    "spec_decode_accepted_tokens_total": ("token_position",),
    "spec_decode_drafted_tokens_total": ("token_position",),
}


class Metrics:
    def __init__(self, version: Version, arguments: Mapping[str, Any], served_name: str, cache: KvCache):
        self._prefix = version["metrics"]["prefix"]
        # without a prefix, the labels were never filled
        labels = (served_name, "pytorch") if self._prefix else ("undefined", "undefined")
        self._labels = dict(zip(("model_name", "engine_type"), labels))
        self._cache = cache
        self._arguments = arguments
        self._registry = CollectorRegistry()
        self._metrics: dict[str, Any] = {}
        self._iteration = 0
        self._iterations: deque[dict[str, Any]] = deque(maxlen=1000)
        self._requests: deque[dict[str, Any]] = deque(maxlen=arguments.get("perf_metrics_max_requests") or 0)
        late = version["metrics"].get("late", {})
        self._gauges = {name: kind for name, kind in late.items() if kind == "gauge"}
        for name, kind in {**version["metrics"]["requests"], **late}.items():
            if name not in self._gauges:
                self._register(name, kind)

    def _register(self, name: str, kind: str) -> None:
        labels = (*self._labels, *LABELS.get(name, ()))
        self._metrics[name] = KINDS[kind](self._prefix + name, name, labels, registry=self._registry)
        if name not in LABELS:
            self._metrics[name].labels(**self._labels)

    def _labelled(self, name: str, **labels: Any) -> Any:
        return self._metrics[name].labels(**self._labels, **labels)

    def finished(self, output: RequestOutput) -> None:
        [completion] = output.outputs
        count = len(completion.token_ids)
        timing = output.perf_metrics()
        arrived, first, last = (timing[f"{name}_time_ns"] / 1e9 for name in ("arrival", "first_token", "last_token"))
        self._labelled("request_success_total", finished_reason=completion.finish_reason).inc()
        self._labelled("e2e_request_latency_seconds").observe(last - arrived)
        self._labelled("time_to_first_token_seconds").observe(first - arrived)
        self._labelled("request_queue_time_seconds").observe(output.queue_seconds)
        if count > 1:
            self._labelled("time_per_output_token_seconds").observe((last - first) / (count - 1))
        if "prompt_tokens_total" in self._metrics:
            self._labelled("prompt_tokens_total").inc(len(output.prompt_token_ids))
            self._labelled("generation_tokens_total").inc(count)
            self._labelled("num_requests_completed_total").inc()
        self._begin_gauges()
        self._requests.append({"request_id": id(output), "perf_metrics": timing})

    def _begin_gauges(self) -> None:
        """They are there once the first request is finished."""
        if self._arguments["enable_iter_perf_stats"]:
            while self._gauges:
                self._register(*self._gauges.popitem())

    def failed(self, code: int) -> None:
        if "request_error_total" in self._metrics:
            self._labelled("request_error_total", http_code=code).inc()

    def step(self, step: Step) -> None:
        """Called by the thread that receives the steps."""
        self._iteration += 1
        used = self._cache.blocks_of(step.cached_tokens)
        if self._arguments["enable_iter_perf_stats"]:
            self._iterations.append(self._statistics(step, used))
        active = step.contexts + step.generating
        for name, value in {
            "num_requests_running": active,
            "num_requests_waiting": step.waiting,
            "num_context_requests": step.contexts,
            "num_generation_requests": step.generating,
            "num_scheduled_requests": active,
            "total_context_tokens": step.context_tokens,
            "iteration_latency_seconds": step.seconds,
            "kv_cache_max_blocks": self._cache.blocks,
            "kv_cache_used_blocks": used,
            "kv_cache_free_blocks": self._cache.blocks - used,
            "kv_cache_tokens_per_block": self._cache.tokens_per_block,
            "kv_cache_utilization": used / max(self._cache.blocks, 1),
            "max_batch_size_static": self._arguments["max_batch_size"],
            "max_num_tokens_runtime": self._arguments["max_num_tokens"],
        }.items():
            if name in self._metrics:
                self._labelled(name).set(value)

    def _statistics(self, step: Step, used: int) -> dict[str, Any]:
        active = step.contexts + step.generating
        return {
            "cpuMemUsage": 0,
            "gpuMemUsage": 0,
            "iter": self._iteration,
            "iterLatencyMS": step.seconds * 1000,
            "kvCacheStats": {
                "freeNumBlocks": self._cache.blocks - used,
                "maxNumBlocks": self._cache.blocks,
                "tokensPerBlock": self._cache.tokens_per_block,
                "usedNumBlocks": used,
            },
            "inflightBatchingStats": {
                "numContextRequests": step.contexts,
                "numCtxTokens": step.context_tokens,
                "numGenRequests": step.generating,
                "numScheduledRequests": active,
            },
            "numActiveRequests": active,
            "numQueuedRequests": step.waiting,
        }

    def take_iterations(self) -> list[dict[str, Any]]:
        """Those since the last call."""
        return _drain(self._iterations)

    def take_requests(self) -> list[dict[str, Any]]:
        return _drain(self._requests)

    def text(self) -> bytes:
        return generate_latest(self._registry)


def _drain(queue: deque[dict[str, Any]]) -> list[dict[str, Any]]:
    return [queue.popleft() for _number in range(len(queue))]
