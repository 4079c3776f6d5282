# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what transformers answers greedily, so that tests can compare tokens without torch.

Run once by hand when the model changes, in an environment with torch and transformers:
`record.py SNAPSHOT [smollm2-135m-instruct.json]`, SNAPSHOT being the folder that rehearsal/model/make_snapshot.py made.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

MAX_NEW_TOKENS = 64
QUESTION = "What is cloud computing?"
PROMPTS = {
    "tutorial": QUESTION,
    "story": "Once upon a time, in a small village by the sea,",
    "code": "def fibonacci(n):\n",
}
CHATS = {"tutorial_chat": QUESTION, "short_chat": "What is the capital of France? Answer in one word."}


def complete(model: Any, tokenizer: Any, prompt: str) -> dict[str, Any]:
    inputs = tokenizer(prompt, return_tensors="pt")
    with torch.inference_mode():
        output = model.generate(**inputs, do_sample=False, max_new_tokens=MAX_NEW_TOKENS)[0].tolist()
    length = inputs["input_ids"].shape[1]
    return {
        "prompt": prompt,
        "input_ids": output[:length],
        "output_ids": output[length:],
        "text": tokenizer.decode(output[length:], skip_special_tokens=True),
    }


def record(snapshot: Path) -> dict[str, Any]:
    tokenizer = AutoTokenizer.from_pretrained(snapshot)
    model = AutoModelForCausalLM.from_pretrained(snapshot, dtype=torch.float32)
    prompts = dict(PROMPTS)
    for name, question in CHATS.items():
        message = [{"role": "user", "content": question}]
        prompts[name] = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    return {
        "model": "SmolLM2-135M-Instruct",
        "dtype": "float32",
        "max_new_tokens": MAX_NEW_TOKENS,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "completions": {name: complete(model, tokenizer, prompt) for name, prompt in prompts.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Record greedy completions of a model.")
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("output", type=Path, nargs="?", default=Path(__file__).with_name("smollm2-135m-instruct.json"))
    args = parser.parse_args()
    text = json.dumps(record(args.snapshot), indent=1, ensure_ascii=False)
    args.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
