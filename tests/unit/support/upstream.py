# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates with upstream's fields, values and placeholders, built from the records in tests/unit/templates."""

from __future__ import annotations

import functools
import json
import typing as t
from pathlib import Path

import yaml
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton import _model_config
from tritonclient.grpc.model_config_pb2 import ModelConfig

FACTS = Path(__file__).resolve().parent.parent / "templates"
RELEASES = ("0.9.0", "0.12.0", "0.16.0")
MODELS = ("ensemble", "preprocessing", "postprocessing", "tensorrt_llm", "tensorrt_llm_bls")


@functools.lru_cache(maxsize=None)
def templates(release: str) -> t.Mapping[str, str]:
    """The text of each model's template."""
    facts = yaml.safe_load((FACTS / f"{release}.yml").read_text(encoding="utf-8"))
    return {model: template(fields) for model, fields in facts.items()}


def write_templates(release: str, folder: Path) -> Path:
    for model, text in templates(release).items():
        (folder / model).mkdir(parents=True)
        (folder / model / "config.pbtxt").write_text(text, encoding="utf-8")
    return folder


def template(fields: t.Mapping[str, t.Any]) -> str:
    return "".join(f"{line}\n" for line in _lines(fields, ModelConfig.DESCRIPTOR))


def values(template: str) -> dict[str, t.Any]:
    """A valid value for each placeholder that must be filled. All numbers differ, so that mix-ups are noticed."""
    found = _model_config.placeholders(template)
    # The backend's placeholder is in quotes, but it is not a valid name.
    names = sorted({item.name for item in found if not item.quoted or item.name == "triton_backend"})
    return {name: _value(name, number) for number, name in enumerate(names, 1)}


def _value(name: str, number: int) -> t.Any:
    if name.endswith("data_type"):
        return "TYPE_FP16"
    return {"decoupled_mode": True, "triton_backend": "tensorrtllm"}.get(name, number)


def _lines(fields: t.Mapping[str, t.Any], message: t.Any) -> t.Iterator[str]:
    for name, value in fields.items():
        field = message.fields_by_name[name]
        if field.message_type is None:
            yield f"{name}: {_scalar(value, quoted=field.type == field.TYPE_STRING)}"
            continue
        for one in _messages(field, value):
            yield f"{name} {{"
            yield from (f"  {line}" for line in _lines(one, field.message_type))
            yield "}"


def _messages(field: t.Any, value: t.Any) -> list[dict[str, t.Any]]:
    if field.message_type.GetOptions().map_entry:
        return [{"key": key, "value": item} for key, item in value.items()]
    return value if isinstance(value, list) else [value]


def _scalar(value: t.Any, quoted: bool) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_scalar(item, quoted) for item in value)}]"
    return json.dumps(value, ensure_ascii=False) if quoted else _model_config.scalar_text(value)
