# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's own metrics. Families, labels and kinds are those of the TensorRT-LLM version."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import triton_python_backend_utils as pb_utils

from .generation import Limits, Network
from .network import Array, Chunk, Shape

# As in upstream, unless `stats_check_period_ms` is set.
PERIOD = 0.1

Figures = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Cache:
    """A KV cache for the longest sequences of a full batch. The one that is used here has no blocks."""

    tokens_per_block: int
    max_blocks: int

    @classmethod
    def of(cls, build: Mapping[str, Any], limits: Limits) -> Cache:
        tokens_per_block = int(build["plugin_config"]["tokens_per_block"])
        return cls(tokens_per_block, limits.max_batch_size * blocks(limits.max_seq_len, tokens_per_block))


class Observed:
    """A network that keeps the figures of its last step, with the metrics' labels as keys."""

    def __init__(self, network: Network, cache: Cache, max_requests: int, count_active: Callable[[], int]):
        self._network = network
        self._cache = cache
        self._max_requests = max_requests
        self._count_active = count_active
        self._cached: dict[int, int] = {}
        self._steps = 0
        self.figures: Figures = {}

    @property
    def shape(self) -> Shape:
        return self._network.shape

    def step(self, chunks: Sequence[Chunk], forgotten: Sequence[int] = ()) -> list[Array]:
        for sequence in forgotten:
            self._cached.pop(sequence, None)
        # a generating sequence has one new token
        context = [chunk for chunk in chunks if len(chunk.tokens) > 1 or chunk.sequence not in self._cached]
        for chunk in chunks:
            self._cached[chunk.sequence] = self._cached.get(chunk.sequence, 0) + len(chunk.tokens)
        self._steps += 1
        self.figures = {**self._of_requests(chunks, context), **self._of_memory(), "general_type": self._of_time()}
        return self._network.step(chunks, forgotten)

    def _of_requests(self, chunks: Sequence[Chunk], context: Sequence[Chunk]) -> Figures:
        active = self._count_active()
        requests = {
            "active": active,
            "max": self._max_requests,
            "scheduled": len(chunks),
            "context": len(context),
            "waiting": active - len(chunks),
        }
        batcher = {
            "total_context_tokens": sum(len(chunk.tokens) for chunk in context),
            "generation_requests": len(chunks) - len(context),
            "micro_batch_id": 0,
            "paused_requests": 0,
        }
        return {"request_type": requests, "inflight_batcher_specific_metric": batcher}

    def _of_memory(self) -> Figures:
        total, per_block = self._cache.max_blocks, self._cache.tokens_per_block
        used = sum(blocks(tokens, per_block) for tokens in self._cached.values())
        cache = {
            "max": total,
            "free": total - used,
            "used": used,
            "tokens_per": per_block,
            "reused": 0,
            "fraction": used / total,
        }
        return {
            "kv_cache_block_type": cache,
            "memory_type": {"cpu": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10, "gpu": 0, "pinned": 0},
        }

    def _of_time(self) -> Mapping[str, float]:
        return {"timestamp": time.time(), "iteration_counter": self._steps}


def blocks(tokens: int, tokens_per_block: int) -> int:
    return -(-tokens // tokens_per_block)


class Reporter:
    """Creates the metrics, and sets the gauges from time to time."""

    def __init__(self, families: Mapping[str, Any], labels: Mapping[str, str]):
        # a family's metrics disappear with it
        self._families = {name: self._family(name, family) for name, family in families.items()}
        self._metrics = {
            (family["label"], value): self._metric(name, family, {**labels, family["label"]: value})
            for name, family in families.items()
            for value in family["values"]
        }
        self._ticks = families["nv_trt_llm_general_metrics"]["ticks_per_second"]
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @staticmethod
    def _family(name: str, family: Mapping[str, Any]) -> Any:
        kind = getattr(pb_utils.MetricFamily, family["kind"].upper())
        return pb_utils.MetricFamily(name=name, description=family["description"], kind=kind)

    def _metric(self, name: str, family: Mapping[str, Any], labels: Mapping[str, str]) -> Any:
        options = {"buckets": family["buckets"]} if "buckets" in family else {}
        return self._families[name].Metric(labels=labels, **options)

    def answered(self, input_tokens: int, output_tokens: int) -> None:
        for name, count in (("total_input_tokens", input_tokens), ("total_output_tokens", output_tokens)):
            histogram = self._metrics.get(("response_metric_type", name))
            if histogram is not None:
                histogram.observe(count)

    def follow(self, network: Observed) -> None:
        self._thread = threading.Thread(target=self._follow, args=(network,), name="metrics", daemon=True)
        self._thread.start()

    def _follow(self, network: Observed) -> None:
        shown: Figures = {}
        while not self._closed.wait(PERIOD):
            figures = network.figures
            if figures is not shown:
                self.show(figures)
                shown = figures

    def show(self, figures: Figures) -> None:
        for label, values in figures.items():
            for value, figure in values.items():
                gauge = self._metrics.get((label, value))
                if gauge is not None:
                    gauge.set(int(figure * self._ticks) if value == "timestamp" else figure)

    def close(self) -> None:
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
