# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rehearsal's templates, filled for tests of the models without a release."""

from __future__ import annotations

import re
from pathlib import Path

BACKEND = Path(__file__).parents[2] / "rehearsal/backend"
MODELS = ("preprocessing", "tensorrt_llm", "postprocessing", "ensemble", "tensorrt_llm_bls")
VALUES = {
    "triton_max_batch_size": "4",
    "logits_datatype": "TYPE_FP32",
    "encoder_input_features_data_type": "TYPE_FP16",
    "prompt_embedding_table_data_type": "TYPE_FP16",
    "triton_backend": "tensorrtllm",
    "accumulate_tokens": "true",
    "tensorrt_llm_model_name": "tensorrt_llm",
    "skip_special_tokens": "true",
    "max_queue_delay_microseconds": "0",
    "max_queue_size": "0",
    "preprocessing_instance_count": "1",
    "postprocessing_instance_count": "1",
    "bls_instance_count": "1",
}


def filled(version: str, model: str, *, decoupled: bool, engine: str, tokenizer: str) -> str:
    """A model's config.pbtxt. Placeholders without a value stay, as in a release."""
    chosen = {"decoupled_mode": str(decoupled).lower(), "engine_dir": engine, "tokenizer_dir": tokenizer}
    template = (BACKEND / "all_models" / version / model / "config.pbtxt").read_text(encoding="utf-8")
    return re.sub(r"\$\{(\w+)\}", lambda match: {**VALUES, **chosen}.get(match[1], match[0]), template)
