# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Triton side of the backend named "tensorrtllm": requests in, responses out.

`backends/tensorrtllm/model.py` is Triton's entry point. Names and shapes of the tensors are those of the tensorrt_llm
model in the version's templates. Messages for rejected engines and requests are those of upstream's executor.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import triton_python_backend_utils as pb_utils

from . import VERSION, log, ranks
from .engine import EngineError, check_version, check_world, read_config, read_weights
from .generation import Generator, Limits, Request, RequestError, Update
from .network import Llama
from .sampling import Sampling, parse_word_list

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
TRUE = ("true", "1", "t", "y", "yes")

Scalar = TypeVar("Scalar", int, float, bool)


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


class Inputs:
    """The input tensors of a request, with upstream's defaults for missing ones."""

    def __init__(self, request: Any):
        self._request = request

    def array(self, name: str) -> np.ndarray | None:
        tensor = pb_utils.get_input_tensor_by_name(self._request, name)
        return None if tensor is None else tensor.as_numpy()

    def row(self, name: str, index: int) -> np.ndarray | None:
        array = self.array(name)
        return None if array is None or array.size == 0 else array[index]

    def scalar(self, name: str, index: int, default: Scalar) -> Scalar:
        row = self.row(name, index)
        return default if row is None else type(default)(row.reshape(-1)[0])

    def renamed(self, name: str, old_name: str, index: int, default: Scalar) -> Scalar:
        """An input with another name in older versions."""
        return self.scalar(old_name if self.array(name) is None else name, index, default)

    @property
    def batch_size(self) -> int:
        array = self.array("input_ids")
        if array is None:
            raise RequestError("input_ids is required")
        return len(array)

    def prompt(self, index: int) -> list[int]:
        ids = self.row("input_ids", index)
        length = self.scalar("input_lengths", index, 0)
        return [] if ids is None else ids[:length].tolist()

    def sampling(self, index: int) -> Sampling:
        bias = self.row("embedding_bias", index)
        return Sampling(
            top_k=self.scalar("runtime_top_k", index, 0),
            top_p=self.scalar("runtime_top_p", index, 0.0),
            temperature=self.scalar("temperature", index, 1.0),
            repetition_penalty=self.scalar("repetition_penalty", index, 1.0),
            presence_penalty=self.scalar("presence_penalty", index, 0.0),
            frequency_penalty=self.scalar("frequency_penalty", index, 0.0),
            min_length=self.renamed("min_tokens", "min_length", index, 0),
            random_seed=self.renamed("seed", "random_seed", index, 0),
            end_id=self.scalar("end_id", index, -1),
            bad_words=parse_word_list(self.row("bad_words_list", index)),
            stop_words=parse_word_list(self.row("stop_words_list", index)),
            # the tensors of a request are freed when execute() returns
            bias=None if bias is None else bias.copy(),
        )


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


def refuse_unsupported(inputs: Inputs) -> None:
    given = [name for name in UNSUPPORTED if inputs.array(name) is not None]
    if given:
        raise RequestError(f"not supported without a GPU: {', '.join(given)}")
    for name in ("beam_width", "num_return_sequences"):
        value = inputs.scalar(name, 0, 1)
        if value != 1:
            raise RequestError(f"{name} is {value}, but this engine was built for 1")


# Additional outputs that a request may ask for.
EXTRAS = ("return_perf_metrics", "return_num_input_tokens", "return_num_output_tokens")
CACHE_STATS = ("kv_cache_alloc_new_blocks", "kv_cache_reused_blocks", "kv_cache_alloc_total_blocks")
DRAFT_COUNTS = ("total_accepted_draft_tokens", "total_draft_tokens")


class Reply:
    """Collects the output of a sequence and sends it, each token immediately or everything at the end."""

    def __init__(self, sender: Any, inputs: Inputs, index: int, logits_dtype: Any, exclude_input: bool):
        self._sender = sender
        self._index = index
        self._logits_dtype = logits_dtype
        self._streaming = inputs.scalar("streaming", index, False)
        self._with_log_probs = inputs.scalar("return_log_probs", index, False)
        self._with_logits = inputs.scalar("return_generation_logits", index, False)
        self._wanted = [name for name in EXTRAS if inputs.scalar(name, index, False)]
        self._prompt_tokens = len(inputs.prompt(index))
        self._answer_tokens = 0
        self._arrived = self._first_token = time.monotonic_ns()
        self._prompt = [] if self._streaming or exclude_input else inputs.prompt(index)
        self._cum_log_prob = 0.0
        self._pending = Update()
        self._context_logits: list[np.ndarray] = []

    def is_cancelled(self) -> bool:
        return bool(self._sender.is_cancelled())

    def add_context_logits(self, logits: np.ndarray) -> None:
        self._context_logits.append(logits)

    def on_update(self, update: Update) -> None:
        if update.error is not None:
            self._send_error(update.error)
            return
        if self._answer_tokens == 0:
            self._first_token = time.monotonic_ns()
        self._answer_tokens += len(update.tokens)
        self._pending.tokens += update.tokens
        self._pending.log_probs += update.log_probs
        self._cum_log_prob += sum(update.log_probs)
        if self._with_logits:
            self._pending.logits += update.logits
        if self._streaming or update.finished:
            response = pb_utils.InferenceResponse(output_tensors=self._tensors(self._pending))
            self._sender.send(response, flags=FINAL if update.finished else 0)
            self._pending = Update()

    def _send_error(self, text: str) -> None:
        log.runtime("ERROR", text)
        self._sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError(text)), flags=FINAL)

    def _tensors(self, update: Update) -> list[Any]:
        ids = self._prompt + update.tokens
        log_probs = update.log_probs if self._with_log_probs else [0.0] * len(update.log_probs)
        generation = np.stack(update.logits)[None, None] if update.logits else np.zeros((1, 1, 1, 1))
        context = np.concatenate(self._context_logits)[None] if self._context_logits else np.zeros((1, 1, 1))
        arrays = {
            "output_ids": np.array(ids, np.int32)[None, None],
            "sequence_length": np.array([[len(ids)]], np.int32),
            "cum_log_probs": np.array([[self._cum_log_prob if self._with_log_probs else 0.0]], np.float32),
            "output_log_probs": np.array(log_probs, np.float32)[None, None],
            "context_logits": context.astype(self._logits_dtype),
            "generation_logits": generation.astype(self._logits_dtype),
            "batch_index": np.array([[self._index]], np.int32),
            "sequence_index": np.zeros((1, 1), np.int32),
        }
        for name in self._wanted:
            arrays |= {output: np.full((1, 1), value) for output, value in self._extras(name).items()}
        return [pb_utils.Tensor(name, array) for name, array in arrays.items()]

    def _extras(self, name: str) -> dict[str, np.generic]:
        if name == "return_num_input_tokens":
            return {"num_input_tokens": np.int32(self._prompt_tokens)}
        if name == "return_num_output_tokens":
            return {"num_output_tokens": np.int32(self._answer_tokens)}
        # requests never share blocks here, and there are no draft tokens
        return {
            **dict.fromkeys(CACHE_STATS + DRAFT_COUNTS, np.int32(0)),
            "acceptance_rate": np.float32(0),
            "arrival_time_ns": np.int64(self._arrived),
            "first_scheduled_time_ns": np.int64(self._arrived),
            "first_token_time_ns": np.int64(self._first_token),
            "last_token_time_ns": np.int64(time.monotonic_ns()),
        }


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
            self._lead(rank)

    def _lead(self, rank: Rank) -> None:
        self._build = rank.config["build_config"]
        limits = Limits.of(self._build)
        log.runtime("INFO", f"TRTGptModel maxBatchSize: {limits.max_batch_size}")
        log.runtime("INFO", f"TRTGptModel maxSequenceLen: {limits.max_seq_len}")
        log.runtime("INFO", f"TRTGptModel maxInputLen: {limits.max_input_len}")
        self._network = rank.network if rank.comm is None else ranks.Leader(rank.network, rank.comm)
        self._tie = tie_to_server()
        self._request_ids = itertools.count(1)
        self._generator = Generator(self._network, limits)
        self._thread = threading.Thread(target=self._generator.serve, name="generator", daemon=True)
        self._thread.start()

    def execute(self, requests: list[Any]) -> None:
        """Submit the requests; the generating thread answers them, so the next ones can join the batch."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                self._submit(Inputs(request), sender)
            except RequestError as error:
                text = (
                    f"Executor failed process requestId {next(self._request_ids)} due to the following error: {error}"
                )
                log.runtime("ERROR", text)
                sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError(text)), flags=FINAL)

    def _submit(self, inputs: Inputs, sender: Any) -> None:
        refuse_unsupported(inputs)
        if inputs.batch_size != 1:
            raise RequestError(f"a request holds one sequence, this one has {inputs.batch_size}")
        if inputs.scalar("streaming", 0, False) and not self._decoupled:
            raise RequestError("Streaming is only supported if model is deployed using decoupled mode.")
        for kind in ("context", "generation"):
            if inputs.scalar(f"return_{kind}_logits", 0, False) and not self._build[f"gather_{kind}_logits"]:
                raise RequestError(f"{kind} logits need an engine that was built with --gather_{kind}_logits")
        exclude_input = inputs.scalar("exclude_input_in_output", 0, self._exclude_input)
        reply = Reply(sender, inputs, 0, self._logits_dtype, exclude_input)
        try:
            self._generator.submit(
                Request(
                    prompt=inputs.prompt(0),
                    max_new_tokens=inputs.scalar("request_output_len", 0, 0),
                    sampling=inputs.sampling(0),
                    on_update=reply.on_update,
                    is_cancelled=reply.is_cancelled,
                    on_context_logits=(
                        reply.add_context_logits if inputs.scalar("return_context_logits", 0, False) else None
                    ),
                )
            )
        except RequestError as error:
            raise RequestError(f"Encountered an error when fetching new request: {error}") from error
        next(self._request_ids)

    def finalize(self) -> None:
        self._generator.close()
        self._thread.join()
        if isinstance(self._network, ranks.Leader):
            self._network.close()
        self._tie.communicate(b"\n")
