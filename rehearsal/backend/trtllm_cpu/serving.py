# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Triton side of the backend named "tensorrtllm": requests in, responses out.

`backends/tensorrtllm/model.py` is Triton's entry point. Names and shapes of the tensors are those of the tensorrt_llm
model in the version's templates. Messages for rejected engines and requests are those of upstream. The executor of
0.9.0 is closed source, so its checks of values are those of 1.2.1.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils

from . import VERSION, log, ranks
from .engine import EngineError, check_version, check_world, read_config, read_weights
from .generation import Generator, Limits, Request, RequestError, Update
from .metrics import Cache, Observed, Reporter
from .network import Llama
from .release import load_tables
from .tensors import FINAL, Exchange, Format, InputError, Inputs, Place, Reply, Wishes

TRUE = ("true", "1", "t", "y", "yes")
ASSERTION = "[TensorRT-LLM][ERROR] Assertion failed: "
FETCHING = "Encountered an error when fetching new request: "


def parameter(config: Mapping[str, Any], name: str, default: str) -> str:
    """A string parameter of config.pbtxt; empty and unfilled ones count as missing, as in upstream."""
    value = str(config.get("parameters", {}).get(name, {}).get("string_value", ""))
    if not value or value.startswith("${"):
        log.runtime("WARNING", f"{name} is not specified, will be set to {default or 'its default'}")
        return default
    return value


def load_rank(folder: Path) -> Rank:
    """Load a rank after upstream's checks, in the same order."""
    config = read_config(folder)
    log.runtime(
        "INFO",
        f"Engine version {config['version']} found in the config file, assuming engine(s) built by new builder API.",
    )
    world = ranks.World.of_environment()
    log.runtime("INFO", f"MPI size: {world.size}, MPI local size: {world.local_size}, rank: {world.rank}")
    check_world(config, world.size)
    check_version(config)
    model = config["pretrained_config"]
    weights = read_weights(folder, world.rank)
    if world.size == 1:
        return Rank(config, Llama(model, weights))
    comm = ranks.communicator()
    network = Llama(model, weights, ranks.MpiGroup(comm, model["mapping"]["tp_size"]))
    # the leader is only ready when all ranks are
    comm.Barrier()
    return Rank(config, network, comm)


@dataclass
class Rank:
    """This process's part of the engine; `comm` is None if there is only one process."""

    config: dict[str, Any]
    network: Llama
    comm: Any = None

    @property
    def is_worker(self) -> bool:
        return self.comm is not None and self.comm.Get_rank() > 0


UNSUPPORTED = (
    "draft_input_ids",
    "encoder_input_features",
    "prompt_embedding_table",
    "lora_task_id",
    "lora_weights",
    "cross_attention_mask",
    "context_phase_params",
    "guided_decoding_guide",
    "lookahead_window_size",
    "mrope_rotary_cos_sin",
)


# Checks of single values, in upstream's order: input, value if it is missing, and what an error says.
ASSERTIONS: tuple[tuple[str, float, Callable[[float], bool], str], ...] = (
    ("beam_width", 1, lambda value: value > 0, "beamWidth > 0"),
    ("runtime_top_k", 0, lambda value: value >= 0, "topK.value() >= 0"),
    ("runtime_top_p", 1.0, lambda value: value <= 1, "topP.value() <= 1.f"),
    ("temperature", 1.0, lambda value: value >= 0, "temperature.value() >= 0.f"),
    ("min_tokens", 0, lambda value: value >= 0, "minTokens.value() >= 0"),
    ("repetition_penalty", 1.0, lambda value: value > 0, "repetitionpenalty.value() > 0.f"),
    ("len_penalty", 0.0, lambda value: value >= 0, "lengthPenalty.value() >= 0.f"),
    ("num_return_sequences", 1, lambda value: value > 0, "numReturnSequences.value() > 0"),
    ("request_output_len", 0, lambda value: value > 0, "mMaxNewTokens > 0"),
)


def refuse_unsupported(inputs: Inputs) -> None:
    given = [name for name in UNSUPPORTED if inputs.array(name) is not None]
    if given:
        raise InputError(f"not supported without a GPU: {', '.join(given)}")


def tie_to_server() -> subprocess.Popen[bytes]:
    """Kill the server if this process dies, as a crash of the real backend does; mpirun then ends all ranks.

    This backend is a separate process. The shell kills the server when its pipe is closed, which happens when this
    process ends; a line on the pipe means a regular end.
    """
    command = ["sh", "-c", 'read -r line || kill -KILL "$1"', "tie", str(os.getppid())]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


class TritonPythonModel:
    """What Triton's python backend calls."""

    def initialize(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        log.runtime("INFO", f"TensorRT-LLM backend {VERSION} on CPU")
        self._decoupled = bool(config.get("model_transaction_policy", {}).get("decoupled", False))
        self._exclude_input = parameter(config, "exclude_input_in_output", "false").lower() in TRUE
        logits = pb_utils.get_output_config_by_name(config, "generation_logits")
        self._logits_dtype = pb_utils.triton_string_to_numpy(logits["data_type"])
        try:
            rank = load_rank(Path(parameter(config, "gpt_model_path", "")))
        except (EngineError, KeyError, ValueError) as error:
            log.runtime("ERROR", str(error))
            raise pb_utils.TritonModelException(
                f"unexpected error when creating modelInstanceState: {error}"
            ) from error
        if rank.is_worker:
            ranks.follow(rank.network, rank.comm)
        else:
            self._lead(rank, {"model": args["model_name"], "version": args["model_version"]})

    def _lead(self, rank: Rank, labels: Mapping[str, str]) -> None:
        self._build = rank.config["build_config"]
        limits = Limits.of(self._build)
        log.runtime("INFO", f"TRTGptModel maxBatchSize: {limits.max_batch_size}")
        log.runtime("INFO", f"TRTGptModel maxSequenceLen: {limits.max_seq_len}")
        log.runtime("INFO", f"TRTGptModel maxInputLen: {limits.max_input_len}")
        self._network = rank.network if rank.comm is None else ranks.Leader(rank.network, rank.comm)
        self._tie = tie_to_server()
        self._request_ids = itertools.count(1)
        self._exchanges: list[Exchange] = []
        tables, cache = load_tables(), Cache.of(self._build, limits)
        self._form = Format(tables["serving"], self._logits_dtype, self._network.shape.vocab, cache.tokens_per_block)
        observed = Observed(self._network, cache, limits.max_batch_size, self._count_active)
        self._reporter = Reporter(tables["metrics"], labels)
        self._reporter.follow(observed)
        self._generator = Generator(observed, limits)
        self._thread = threading.Thread(target=self._generator.serve, name="generator", daemon=True)
        self._thread.start()

    def _count_active(self) -> int:
        """The sequences that are not answered yet."""
        return sum(exchange.open for exchange in self._exchanges)

    def execute(self, requests: list[Any]) -> None:
        """Submit the requests; the generating thread answers them, so the next ones can join the batch."""
        self._exchanges = [exchange for exchange in self._exchanges if exchange.open]
        for request in requests:
            sender = request.get_response_sender()
            try:
                self._accept(request, sender)
            except InputError as error:
                log.runtime("ERROR", str(error))
                sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error))), flags=FINAL)

    def _accept(self, request: Any, sender: Any) -> None:
        inputs = Inputs(request)
        if inputs.scalar("stop", 0, False):
            self._stop(request.request_id())
            sender.send(pb_utils.InferenceResponse(output_tensors=[]), flags=FINAL)
            return
        self._check(inputs, request.requested_output_names())
        places = self._places(inputs)
        exchange = Exchange(sender, request.request_id(), len(places))
        self._exchanges.append(exchange)
        for place in places:
            self._submit(inputs, exchange, place)

    def _stop(self, request_id: str) -> None:
        """A request with the same id ends with the tokens that it has."""
        if not request_id:
            raise InputError(self._form.serving["stop_error"])
        found = [exchange for exchange in self._exchanges if exchange.open and exchange.request_id == request_id]
        for exchange in found:
            exchange.stopped = True
        if not found and self._form.serving["unknown_stop_error"]:
            raise InputError(self._form.serving["unknown_stop_error"].format(id=request_id))

    def _check(self, inputs: Inputs, outputs: Sequence[str]) -> None:
        """Checks that upstream makes before the executor gets the request."""
        refuse_unsupported(inputs)
        rows = range(inputs.batch_size)
        if len(rows) > 1 and not self._decoupled:
            raise InputError(self._form.serving["batch_error"])
        if inputs.scalar("streaming", 0, False) and not self._decoupled:
            raise InputError("Streaming is only supported if model is deployed using decoupled mode.")
        if any(not inputs.prompt(row) for row in rows):
            raise InputError(f"{ASSERTION}!mInputTokenIds.empty()")
        for name, default, is_valid, assertion in ASSERTIONS:
            if not all(is_valid(inputs.scalar(name, row, default)) for row in rows):
                raise InputError(f"{ASSERTION}{assertion}")
        for name in self._form.serving["required_outputs"]:
            if name not in outputs:
                raise InputError(
                    f"Error encountered while populating response: {name} tensor must be present in list of "
                    "output tensors"
                )
        for kind in ("context", "generation"):
            if inputs.scalar(f"return_{kind}_logits", 0, False) and not self._build[f"gather_{kind}_logits"]:
                raise InputError(f"{kind} logits need an engine that was built with --gather_{kind}_logits")

    def _places(self, inputs: Inputs) -> list[Place]:
        rows = inputs.batch_size
        numbers = [inputs.scalar("num_return_sequences", row, 1) for row in range(rows)]
        if max(numbers) > 1 and not self._decoupled:
            raise InputError("num_return_sequences is more than 1, and only a decoupled model has several responses")
        return [Place(row, rows, number, numbers[row]) for row in range(rows) for number in range(numbers[row])]

    def _submit(self, inputs: Inputs, exchange: Exchange, place: Place) -> None:
        wishes = Wishes.of(inputs, place.row, self._exclude_input)
        prompt = inputs.prompt(place.row)
        reply = Reply(exchange, place, prompt, wishes, self._form, next(self._request_ids), self._reporter.answered)
        request = Request(
            prompt=prompt,
            max_new_tokens=inputs.scalar("request_output_len", place.row, 0),
            sampling=inputs.sampling(place),
            on_update=reply.on_update,
            is_cancelled=exchange.is_cancelled,
            on_context_logits=reply.add_context_logits if wishes.context_logits else None,
        )
        error = self._value_error(inputs, place.row)
        if not error:
            try:
                self._generator.submit(request)
                return
            except RequestError as refused:
                error = f"{FETCHING}{refused}"
        reply.on_update(Update(finished=True, error=error))

    def _value_error(self, inputs: Inputs, row: int) -> str | None:
        beams, end_id, vocab = inputs.scalar("beam_width", row, 1), inputs.scalar("end_id", row, -1), self._form.vocab
        if beams > 1:
            text: str = self._form.serving["beam_width_error"]
            return text.format(asked=beams, built=1)
        if not -1 <= end_id < vocab:
            return f"{FETCHING}{ASSERTION}EndId ({end_id}) is not within acceptable range [-1, {vocab})."
        return None

    def finalize(self) -> None:
        self._generator.close()
        self._thread.join()
        self._reporter.close()
        if isinstance(self._network, ranks.Leader):
            self._network.close()
        self._tie.communicate(b"\n")
