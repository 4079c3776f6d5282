# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record the greedy completions of transformers in float32, so that tests can compare tokens without torch.

Run this by hand when a model changes, in an environment with torch and transformers: `record.py SNAPSHOT`. SNAPSHOT is
the folder that rehearsal/model/make_snapshot.py writes, or rehearsal/mixtral/tiny-mixtral. Its name identifies the
model.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

QUESTION = "What is cloud computing?"


@dataclass(frozen=True)
class Questions:
    """The prompts of a model. With `margins`, each answer includes the distance of its closest second choice."""

    max_new_tokens: int
    prompts: dict[str, str]
    chats: dict[str, str] = field(default_factory=dict)
    margins: bool = False


MODELS = {
    "SmolLM2-135M-Instruct": Questions(
        max_new_tokens=64,
        prompts={
            "tutorial": QUESTION,
            "story": "Once upon a time, in a small village by the sea,",
            "code": "def fibonacci(n):\n",
        },
        chats={"tutorial_chat": QUESTION, "short_chat": "What is the capital of France? Answer in one word."},
    ),
    "tiny-mixtral": Questions(
        max_new_tokens=128,
        prompts={
            "beginning": "In the harbour of Brenn there are eight pilots,",
            "middle": "One night the master swapped",
            "short": "Anna",
            "last": "Since then the list",
        },
        margins=True,
    ),
}


def closest(logits: tuple[torch.Tensor, ...]) -> float:
    """The smallest distance between the logits of a chosen token and the second choice."""
    best, second = torch.cat(logits).topk(2).values.unbind(-1)
    return round(float((best - second).min()), 3)


def complete(model: Any, tokenizer: Any, prompt: str, questions: Questions) -> dict[str, Any]:
    inputs = tokenizer(prompt, return_tensors="pt")
    answer = model.generate(
        **inputs,
        do_sample=False,
        max_new_tokens=questions.max_new_tokens,
        output_logits=True,
        return_dict_in_generate=True,
    )
    output = answer.sequences[0].tolist()
    length = inputs["input_ids"].shape[1]
    return {
        "prompt": prompt,
        "input_ids": output[:length],
        "output_ids": output[length:],
        "text": tokenizer.decode(output[length:], skip_special_tokens=True),
        **({"margin": closest(answer.logits)} if questions.margins else {}),
    }


def record(snapshot: Path) -> dict[str, Any]:
    questions = MODELS[snapshot.name]
    tokenizer = AutoTokenizer.from_pretrained(snapshot)
    model = AutoModelForCausalLM.from_pretrained(snapshot, dtype=torch.float32)
    prompts = dict(questions.prompts)
    for name, question in questions.chats.items():
        message = [{"role": "user", "content": question}]
        prompts[name] = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    return {
        "model": snapshot.name,
        "dtype": "float32",
        "max_new_tokens": questions.max_new_tokens,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "completions": {name: complete(model, tokenizer, prompt, questions) for name, prompt in prompts.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Record greedy completions of a model.")
    parser.add_argument("snapshot", type=Path, help=f"a folder named {' or '.join(MODELS)}")
    parser.add_argument("output", type=Path, nargs="?", help="default: the model's file beside this script")
    args = parser.parse_args()
    snapshot = args.snapshot.resolve()
    if snapshot.name not in MODELS:
        parser.error(f"{snapshot} is not a known model; valid names are {', '.join(MODELS)}")
    output = args.output or Path(__file__).with_name(f"{snapshot.name.lower()}.json")
    output.write_text(json.dumps(record(snapshot), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
