# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""How a model scales its rotary embedding (rope_scaling in config.json), and which versions compute it in engines.

Sources: the attention layer in upstream's source. 0.9.0 asserts that the type is linear or dynamic. 0.12.0 and 0.14.0
know more types, but compute llama3 only besides these, and others without an error as if they were not scaled. yarn is
in the source of 0.20.0; which version added it is not known.
"""

from __future__ import annotations

import math
import typing as t

Scaling = t.Dict[str, t.Any]

FIRST: t.Mapping[str, tuple[int, ...]] = {"linear": (0, 8), "dynamic": (0, 8), "llama3": (0, 12), "yarn": (0, 20)}
"""The first version that computes each type."""

_COMMON = ("factor", "original_max_position_embeddings")
_PARAMETERS = {
    "linear": _COMMON,
    "dynamic": _COMMON,
    "llama3": (*_COMMON, "low_freq_factor", "high_freq_factor"),
    "yarn": (*_COMMON, "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "attention_factor"),
}
# Not parameters, but facts about the training, and settings that are read elsewhere.
_IGNORED = ("type", "rope_type", "rope_theta", "partial_rotary_factor", "finetuned")


def type_of(scaling: Scaling) -> t.Any:
    """transformers renamed the key."""
    return scaling.get("rope_type", scaling.get("type"))


def normalised(scaling: t.Any, max_positions: int) -> tuple[Scaling | None, list[str]]:
    """The scaling, None if it changes nothing, and what is wrong with it. Unknown types are left to `unsupported`."""
    if scaling is None:
        return None, []
    if not isinstance(scaling, t.Mapping):
        return None, ["must be a mapping"]
    given = {key: value for key, value in scaling.items() if value is not None}
    kind = type_of(given)
    if kind == "default" or not set(given).difference(("rope_theta", "partial_rotary_factor")):
        return None, []
    if given.get("type", kind) != kind:
        return None, ["type and rope_type differ"]
    if not isinstance(kind, str) or kind not in _PARAMETERS:
        return given, []
    problems = _problems(given, kind, max_positions)
    is_neutral = not problems and given["factor"] == 1 and kind in ("linear", "yarn")
    return None if is_neutral or problems else given, problems


def _problems(given: Scaling, kind: str, max_positions: int) -> list[str]:
    wrong = [name for name in _PARAMETERS[kind] if name in given and not _is_number(given[name])]
    if "factor" not in given:
        return ["has no factor"]
    if wrong:
        return [f"{name} must be a number, not negative" for name in wrong]
    problems = []
    if given["factor"] < 1 or (kind == "dynamic" and given["factor"] == 1):
        problems.append(f"factor must be greater than 1, not {given['factor']}")
    unknown = sorted(set(given).difference(_PARAMETERS[kind], _IGNORED))
    if kind == "yarn":
        problems += _yarn_problems(given)
        unknown = [name for name in unknown if name != "truncate" or given[name] is not True]
    if kind == "dynamic" and given.get("original_max_position_embeddings", max_positions) != max_positions:
        unknown.append("original_max_position_embeddings")
    return [*problems, *(f"{name} is not computed by TensorRT-LLM" for name in unknown)]


def _yarn_problems(given: Scaling) -> list[str]:
    """What transformers and TensorRT-LLM calculate differently."""
    problems = []
    if not given.get("original_max_position_embeddings"):
        problems.append("has no original_max_position_embeddings")
    if bool(given.get("mscale")) != bool(given.get("mscale_all_dim")):
        problems.append("has only one of mscale and mscale_all_dim")
    elif "attention_factor" in given and not math.isclose(given["attention_factor"], _attention_factor(given)):
        problems.append(f"attention_factor {given['attention_factor']} is not computed by TensorRT-LLM")
    return problems


def _attention_factor(given: Scaling) -> float:
    """The default of yarn's attention_factor."""

    def scale(weight: float) -> float:
        return 0.1 * weight * math.log(max(1, given["factor"])) + 1

    return scale(given.get("mscale", 1)) / scale(given.get("mscale_all_dim", 0))


def _is_number(value: t.Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 10**9


def unsupported(scaling: Scaling | None, number: tuple[int, ...]) -> str:
    """Why engines of the version do not compute this scaling, and what to change; empty if they do."""
    if scaling is None:
        return ""
    kind = type_of(scaling)
    first = FIRST.get(kind) if isinstance(kind, str) else None
    if first and number >= first:
        return ""
    if first:
        return f"use release {'.'.join(map(str, first))}.0 or later"
    return "no release computes it for this architecture: use another model"


def computed(number: tuple[int, ...]) -> list[str]:
    """The types that engines of the version compute."""
    return [kind for kind, first in FIRST.items() if number >= first]


def positions(scaling: Scaling | None, max_positions: int) -> int:
    """The length that the scaling extends the model's positions to. trtllm-build calculates it in the same way.

    With yarn, max_position_embeddings already includes the factor in some models.
    """
    if scaling is None or type_of(scaling) not in ("linear", "dynamic", "yarn"):
        return max_positions
    original = scaling["original_max_position_embeddings"] if type_of(scaling) == "yarn" else max_positions
    return max(max_positions, int(original * scaling["factor"]))
