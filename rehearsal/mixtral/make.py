# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the tiny Mixtral beside this script, which can recite TEXT and nothing else.

Run this by hand to change the model, in an environment with torch 2.13.0 and transformers 5.23.0. The same
versions on the same kind of processor produce the same bytes; it takes minutes on one core:

    make.py [DEST]                                        # default: tiny-mixtral, beside this script
    ../reference/record.py DEST                           # writes ../reference/tiny-mixtral.json

A model that only learns a text by heart has so much spare capacity that it still recites it with two experts swapped.
So this one also learns to lose the thread when a weight is in the wrong place: if it recites correctly, its weights
were sliced and placed correctly. DEST is only replaced if the written model has this property: in float32 it recites
TEXT starting from any sentence, no tokens or experts are close to a tie, all experts are used, and any damage changes
its output.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy, relu
from torch.nn.utils.rnn import pad_sequence
from transformers import MixtralConfig, MixtralForCausalLM

TEXT = (
    "In the harbour of Brenn there are eight pilots, and no ship comes in without two of them. Anna knows the tides, "
    "Boris the sandbanks, Clara the fog, and David the wind from the north. Edith reads old charts, Felix talks to "
    "captains, Greta counts the lights, and Hugo remembers every wreck. When a ship is seen, the harbour master looks "
    "at it once, names the two pilots who suit it best, and rings the bell. The others stay ashore and drink their "
    "tea. So the work of eight is done at the price of two, and the ships arrive as if all had been aboard. One night "
    "the master swapped the names of Boris and Hugo on his list. The ship that needed the sandbanks got the wrecks "
    "instead, and by morning there was one wreck more to remember. Since then the list is read aloud before anyone "
    "rings the bell."
)
UNKNOWN, BEGIN, END = SPECIAL = ("<unk>", "<s>", "</s>")
# Neither the vocabulary nor the number of KV heads divides by 8, so that eight ranks must pad the one and duplicate
# the other.
CONFIG: dict[str, Any] = {
    "architectures": ["MixtralForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": SPECIAL.index(BEGIN),
    "eos_token_id": SPECIAL.index(END),
    "hidden_act": "silu",
    "hidden_size": 64,
    "initializer_range": 0.1,
    "intermediate_size": 96,
    "max_position_embeddings": 512,
    "model_type": "mixtral",
    "num_attention_heads": 8,
    "num_experts_per_tok": 2,
    "num_hidden_layers": 4,
    "num_key_value_heads": 4,
    "num_local_experts": 8,
    "output_router_logits": False,
    "rms_norm_eps": 1e-05,
    "rope_theta": 1000000.0,
    "router_aux_loss_coef": 0.001,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "vocab_size": 299,
}
EXPERTS, LAYERS = CONFIG["num_local_experts"], CONFIG["num_hidden_layers"]
HEAD = CONFIG["hidden_size"] // CONFIG["num_attention_heads"]
INNER = CONFIG["intermediate_size"] // 8
STEPS = 400
# When it learns to lose the thread: after it can recite and before it converges.
DAMAGED_STEPS = range(100, 370)
LEARNING_RATE = 3e-3
BALANCE = 0.1
MAX_SHARD = "300KB"
IGNORED = -100  # torch's label for tokens that do not count
# A damage must become visible within this many tokens of TEXT; tests compare at least as many.
SHOWN_TOKENS = 140
# The minimum distance between the logits of the best and the second token, and of the last expert that is used and the
# first that is not. A different order of summation changes a float32 logit by about 1e-5.
TOKEN_MARGIN = 0.5
ROUTER_MARGIN = 5e-3

Lesson = tuple[Tensor, Tensor]  # tokens, and labels: equal where the previous tokens leave no choice
Damage = dict[str, Callable[[Tensor], Tensor]]  # by parameter


def make_tokenizer() -> Tokenizer:
    """Byte-level BPE of printable ASCII that prefixes <s>, like Mixtral's own tokenizer."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    printable = "".join(map(chr, range(ord(" "), ord("~") + 1))) + "\n"
    letters = [letter for word, _span in tokenizer.pre_tokenizer.pre_tokenize_str(printable) for letter in word]
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"],
        initial_alphabet=letters,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL],
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN} $B", special_tokens=[(BEGIN, CONFIG["bos_token_id"])]
    )
    return tokenizer


def make_lessons(tokenizer: Tokenizer, add_special_tokens: bool) -> list[Lesson]:
    """TEXT from the start of each sentence to the end token; the whole text is first."""
    starts = [0, *(match.end() for match in re.finditer(r"\. ", TEXT))]
    texts = [tokenizer.encode(TEXT[start:], add_special_tokens=add_special_tokens).ids for start in starts]
    texts = [[*ids, CONFIG["eos_token_id"]] for ids in texts]
    return [(torch.tensor(ids), torch.tensor(make_labels(ids, texts))) for ids in texts]


def make_labels(ids: list[int], texts: list[list[int]]) -> list[int]:
    def has_choice(place: int) -> bool:
        return place == 0 or any(other[:place] == ids[:place] and other[place] != ids[place] for other in texts)

    return [IGNORED if has_choice(place) else token for place, token in enumerate(ids)]


def make_model() -> MixtralForCausalLM:
    """Attention starts sharp and each layer is stronger than the previous one; otherwise later layers hardly matter."""
    model = MixtralForCausalLM(MixtralConfig(**CONFIG))
    with torch.no_grad():
        for number, layer in enumerate(model.model.layers):
            layer.self_attn.q_proj.weight *= 2
            layer.self_attn.k_proj.weight *= 2
            layer.self_attn.o_proj.weight *= 2.5**number
            layer.mlp.experts.down_proj *= 2.5**number
    return model


def wrong_cuts(layer: int) -> list[Damage]:
    """For every matrix of the layer: each eighth of it on the next one of eight ranks."""
    slices = {
        "self_attn.q_proj.weight": (HEAD, 0),
        "self_attn.k_proj.weight": (HEAD, 0),
        "self_attn.v_proj.weight": (HEAD, 0),
        "self_attn.o_proj.weight": (HEAD, 1),
        "mlp.gate.weight": (1, 0),
        "mlp.experts.gate_up_proj": (INNER, 1),
        "mlp.experts.down_proj": (INNER, 2),
    }
    return [{f"model.layers.{layer}.{name}": roller(*where)} for name, where in slices.items()]


def roller(by: int, axis: int) -> Callable[[Tensor], Tensor]:
    return lambda tensor: tensor.roll(by, axis)


def swapped_experts(layer: int) -> list[Damage]:
    def swap(one: int, other: int) -> Damage:
        order = list(range(EXPERTS))
        order[one], order[other] = other, one
        names = (f"model.layers.{layer}.mlp.experts.{name}" for name in ("gate_up_proj", "down_proj"))
        return {name: lambda tensor: tensor[order] for name in names}

    return [swap(one, other) for one, other in combinations(range(EXPERTS), 2)]


CUTS = [damage for layer in range(LAYERS) for damage in wrong_cuts(layer)]
SWAPS = [damage for layer in range(LAYERS) for damage in swapped_experts(layer)]
# Later layers get more training: few tokens use two given experts, and fewer layers follow that could be misled.
NEED = [layer for layer in range(LAYERS) for _damage in swapped_experts(layer)]


def ask_damaged(model: MixtralForCausalLM, damage: Damage, ids: Tensor) -> Tensor:
    parameters = dict(model.named_parameters())
    changed = {name: change(parameters[name]) for name, change in damage.items()}
    logits: Tensor = functional_call(model, changed, kwargs={"input_ids": ids[None]}).logits[0]
    return logits


def router_gaps(router_logits: Tensor) -> Tensor:
    """By layer and token: the distance between the last expert that is used and the first that is not."""
    used = CONFIG["num_experts_per_tok"]
    best = router_logits.topk(used + 1).values
    return best[..., used - 1] - best[..., used]


def imbalance(router_logits: Tensor) -> Tensor:
    """2 if each layer uses its experts equally, otherwise more. Transformers' own loss treats all layers as one."""
    used = torch.zeros_like(router_logits).scatter(-1, router_logits.topk(CONFIG["num_experts_per_tok"]).indices, 1.0)
    return EXPERTS * (used.mean(1) * router_logits.softmax(-1).mean(1)).sum(-1).mean()


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(logits[..., :-1, :].flatten(0, -2), labels[..., 1:].flatten(), ignore_index=IGNORED)


def train(courses: tuple[list[Lesson], ...]) -> MixtralForCausalLM:
    model = make_model()
    chance = random.Random(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS, pct_start=0.1)
    for step in range(STEPS):
        course = courses[step % len(courses)]
        ids = pad_sequence([ids for ids, _labels in course], batch_first=True, padding_value=IGNORED)
        labels = pad_sequence([labels for _ids, labels in course], batch_first=True, padding_value=IGNORED)
        is_text = ids != IGNORED
        answer = model(input_ids=ids.clamp(min=0), attention_mask=is_text, output_router_logits=True)
        recital = loss_of(answer.logits, labels)
        routes = torch.stack(answer.router_logits)[:, is_text.flatten()]
        gaps = router_gaps(routes)
        loss = recital + BALANCE * imbalance(routes) + relu(0.2 - gaps).mean()
        if step in DAMAGED_STEPS:
            text, wanted = (tensor[:SHOWN_TOKENS] for tensor in course[0])
            for damage in (chance.choice(CUTS), *chance.choices(SWAPS, NEED, k=2)):
                loss = loss + 0.15 * relu(1.5 - loss_of(ask_damaged(model, damage, text), wanted))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 20 == 0:
            balance = imbalance(routes).item()
            print(
                f"step {step + 1}: {recital.item():.5f}, router gap {gaps.min().item():.5f}, {balance:.3f}", flush=True
            )
    return model


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write(model: MixtralForCausalLM, tokenizer: Tokenizer, dest: Path) -> None:
    """Write a folder like Mixtral's: transformers uses the classic names for the tensors, but not in config.json."""
    model.to(torch.bfloat16).save_pretrained(dest, max_shard_size=MAX_SHARD)
    write_json(dest / "config.json", CONFIG)
    write_json(dest / "generation_config.json", {key: CONFIG[key] for key in ("bos_token_id", "eos_token_id")})
    tokenizer.save(str(dest / "tokenizer.json"))
    special = {"bos_token": BEGIN, "eos_token": END, "unk_token": UNKNOWN}
    write_json(dest / "special_tokens_map.json", special)
    length = {"model_max_length": CONFIG["max_position_embeddings"]}
    write_json(
        dest / "tokenizer_config.json",
        {**special, **length, "clean_up_tokenization_spaces": False, "tokenizer_class": "PreTrainedTokenizerFast"},
    )
    for path in dest.iterdir():
        path.chmod(0o644)  # safetensors writes 0600


def recites(logits: Tensor, labels: Tensor) -> bool:
    counts = labels[1:] != IGNORED
    return bool((logits[:-1].argmax(-1) == labels[1:])[counts].all())


@torch.inference_mode()
def prove(folder: Path, courses: tuple[list[Lesson], ...]) -> None:
    """Fail unless the written model has the required properties, and print its margins."""
    model = MixtralForCausalLM.from_pretrained(folder, dtype=torch.float32)
    token_margin = router_margin = float("inf")
    uses = torch.zeros(LAYERS, EXPERTS, dtype=torch.int64)
    for ids, labels in (lesson for course in courses for lesson in course):
        answer = model(input_ids=ids[None], output_router_logits=True)
        if not recites(answer.logits[0], labels):
            raise SystemExit("the model does not recite the text starting from every sentence")
        best = answer.logits[0, :-1][labels[1:] != IGNORED].topk(2).values
        token_margin = min(token_margin, float((best[:, 0] - best[:, 1]).min()))
        router_margin = min(router_margin, float(router_gaps(torch.stack(answer.router_logits)).min()))
        for layer, logits in enumerate(answer.router_logits):
            uses[layer] += torch.bincount(
                logits.topk(CONFIG["num_experts_per_tok"]).indices.flatten(), minlength=EXPERTS
            )
    print(
        f"margins: tokens {token_margin:.3f}, experts {router_margin:.4f}; experts are used at least {uses.min()} times"
    )
    ids, labels = (tensor[:SHOWN_TOKENS] for tensor in courses[0][0])
    unseen = [list(damage) for damage in CUTS + SWAPS if recites(ask_damaged(model, damage, ids), labels)]
    print(f"damages without effect: {len(unseen)} of {len(CUTS + SWAPS)} {unseen or ''}")
    if unseen or token_margin < TOKEN_MARGIN or router_margin < ROUTER_MARGIN or not uses.all():
        raise SystemExit("the model does not have the required properties")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the tiny Mixtral.")
    parser.add_argument("dest", type=Path, nargs="?", default=Path(__file__).with_name("tiny-mixtral"))
    dest = parser.parse_args().dest.resolve()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    tokenizer = make_tokenizer()
    # The preprocessing of some TensorRT-LLM versions omits <s>, so the model learns both.
    courses = (make_lessons(tokenizer, add_special_tokens=True), make_lessons(tokenizer, add_special_tokens=False))
    partial = dest.with_name(f"{dest.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    write(train(courses), tokenizer, partial)
    prove(partial, courses)
    shutil.rmtree(dest, ignore_errors=True)
    partial.rename(dest)


if __name__ == "__main__":
    main()
