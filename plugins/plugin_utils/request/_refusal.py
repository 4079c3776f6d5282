# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Refusals: why a request cannot work, and which variable to change."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from ansible.module_utils.common.validation import check_type_bool, check_type_dict
from ansible_collections.tritonops.trtllm.plugins.module_utils._secrets import SECRET_NAME

# Every JSON parser reads numbers up to this one exactly.
LARGEST = 2**53
# Longer lists of valid names are left out.
MOST_LISTED = 30

# Common names of other tools, for suggestions.
_SYNONYMS = {
    "fp16": "float16",
    "half": "float16",
    "bf16": "bfloat16",
    "fp32": "float32",
    "int8": "int8_weight_only",
    "w8a16": "int8_weight_only",
    "int4": "int4_weight_only",
    "int4_awq": "int4_weight_only",
    "w4a16": "int4_weight_only",
    "tp": "tensor",
    "tp_size": "tensor",
    "tensor_parallel_size": "tensor",
    "pp": "pipeline",
    "pp_size": "pipeline",
    "pipeline_parallel_size": "pipeline",
}


@dataclass(frozen=True)
class Refusal:
    """A reason, and the variable to change. `waive` is the name of an estimate or a risk that can be accepted.

    If a check of the host found it, `check` is its id and `advice` is what to do.
    """

    variable: str
    value: Any
    message: str
    waive: str = ""
    check: str = ""
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "variable": self.variable,
            "value": self.value if is_plain(self.value) else shown(self.value),
            "message": self.text,
            "waive": self.waive,
            "check": self.check,
            "advice": self.advice,
        }

    @property
    def text(self) -> str:
        return f"{self.message}: {self.advice}" if self.advice else self.message


def is_plain(value: Any) -> bool:
    """Whether JSON can represent the value, which may be anything that YAML or a template produces."""
    try:
        json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def shown(value: Any) -> str:
    """A value for a message. Python cannot print numbers with thousands of digits, and nobody would read them."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} that is too long to show"
    return text if len(text) <= 200 else f"{text[:200]}…"


def hint(name: Any, known: Iterable[str], prefix: str = "") -> str:
    """Suggests a similar known name, if there is one. `prefix` is common to all names, and not compared."""
    text = name if isinstance(name, str) else shown(name)
    names = {entry[len(prefix) :].lower(): entry for entry in known}
    typed = text[len(prefix) :][:100].lower()
    # Such as 0.10 for 0.10.0.
    longer = [entry for entry in names if entry.startswith(f"{typed}.")][-1:]
    near = [typed] if typed in names else longer or difflib.get_close_matches(_SYNONYMS.get(typed, typed), names, n=1)
    return f" (did you mean {names[near[0]]}?)" if near else ""


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def not_a_mapping(value: Any, keys: Iterable[str]) -> str:
    """The message for a value that must be a mapping. Extra variables are text if they are not written as JSON."""
    names = list(keys)
    example = names[0] if names else "…"
    json_text = f"""; on the command line, write it as JSON: '{{"{example}": …}}'""" if isinstance(value, str) else ""
    return f"must be a mapping{' with keys from: ' if names else ''}{', '.join(names)}{json_text}"


def as_mapping(value: Any) -> Any:
    """Parses text that represents a mapping, as from `-e trtllm_limits='{"max_seq_len": 4096}'`."""
    try:
        return check_type_dict(value) if isinstance(value, str) else value
    except TypeError:
        return value


class Checker:
    """Reads values one by one and collects all refusals."""

    def __init__(self) -> None:
        self.refusals: list[Refusal] = []

    def refuse(self, variable: str, value: Any, message: str) -> None:
        is_secret = SECRET_NAME.search(variable.rpartition(".")[2])
        self.refusals.append(Refusal(f"trtllm_{variable}", None if is_secret else value, message))

    def choice(self, variable: str, value: Any, allowed: Iterable[str], what: str) -> bool:
        """Whether `value` is one of `allowed`; otherwise it is refused, with a suggestion."""
        names = list(allowed)
        if isinstance(value, str) and value in names:
            return True
        listed = f"; use one of: {', '.join(names)}" if len(names) <= MOST_LISTED else ""
        self.refuse(variable, value, f"{shown(value)} is not a known {what}{hint(value, names)}{listed}")
        return False

    def record(self, variable: str, given: Any, kind: Any) -> Any:
        """A mapping as the dataclass `kind`, with defaults; None if a key is wrong, missing or unknown."""
        known = {entry.name: entry for entry in fields(kind)}
        given = as_mapping(given)
        if not isinstance(given, Mapping):
            self.refuse(variable, given, not_a_mapping(given, known))
            return None
        before = len(self.refusals)
        values = {}
        for key, value in given.items():
            if self.choice(f"{variable}.{key}", key, known, "key"):
                values[key] = self._field(f"{variable}.{key}", value, known[key])
        for name, entry in known.items():
            if entry.default is entry.default_factory is MISSING and name not in given:
                self.refuse(f"{variable}.{name}", None, "is required")
        return kind(**values) if len(self.refusals) == before else None

    def _field(self, variable: str, value: Any, entry: Field[Any]) -> Any:
        kind = str(entry.type)
        if value is None and "None" in kind:
            return None
        if "record" in entry.metadata:
            nested = entry.metadata["record"]
            return self.record(variable, value, nested) or nested()
        if kind.startswith("Mapping"):
            return self.texts(variable, value)
        if kind.startswith("tuple[str"):
            return tuple(self.text(variable, item) for item in self.items(variable, value))
        if "int" in kind:
            return self.count(variable, value, **entry.metadata)
        if "float" in kind:
            return self.fraction(variable, value)
        return self.boolean(variable, value) if kind == "bool" else self.text(variable, value)

    def text(self, variable: str, value: Any) -> str:
        if not isinstance(value, str):
            self.refuse(variable, value, "must be a string")
            return ""
        if not value.isprintable():
            self.refuse(variable, value, "must be a single line without control characters")
            return ""
        return value

    def texts(self, variable: str, value: Any) -> dict[str, str]:
        """A mapping of names to scalar values, as text."""
        given = as_mapping(value)
        if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
            # Not shown, because it may have a secret in it.
            self.refuse(variable, None, "must be a mapping of names to values")
            return {}
        plain = {name: str(item) if isinstance(item, (int, float)) else item for name, item in given.items()}
        return {name: self.text(f"{variable}.{name}", item) for name, item in plain.items()}

    def items(self, variable: str, value: Any) -> list[Any]:
        if isinstance(value, (list, tuple)):
            return list(value)
        self.refuse(variable, value, "must be a list")
        return []

    def boolean(self, variable: str, value: Any) -> bool:
        try:
            return bool(check_type_bool(value))
        except (TypeError, ValueError):
            self.refuse(variable, value, "must be true or false")
            return False

    def count(self, variable: str, value: Any, least: int = 1, most: int = LARGEST) -> int:
        number = value
        if isinstance(value, str) and value.isdecimal() and len(value) <= len(str(LARGEST)):
            number = int(value)
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            too_large = isinstance(number, int) and number > most
            self.refuse(
                variable, value, f"must be a whole number of at {f'most {most}' if too_large else f'least {least}'}"
            )
            return least
        return number

    def fraction(self, variable: str, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = 0.0
        if isinstance(value, bool) or not 0 < number <= 1:
            self.refuse(variable, value, "must be a number greater than 0 and at most 1")
        return number

    def amount(self, variable: str, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = 0.0
        if isinstance(value, bool) or not 0 < number < LARGEST:
            self.refuse(variable, value, f"must be a number greater than 0 and less than {LARGEST}")
        return number


def refusal_line(refusal: Mapping[str, Any]) -> str:
    """A reason as text."""
    accept = f" (or accept it: trtllm_waive: [{refusal['waive']}])" if refusal["waive"] else ""
    value = "" if refusal["value"] is None else f" = {shown(refusal['value'])}"
    return f"- {refusal['variable']}{value}: {refusal['message']}{accept}"


def refusal_message(refusals: list[dict[str, Any]]) -> str:
    """All reasons as text, one per line; empty if there are none."""
    if not refusals:
        return ""
    heading = f"This cannot work for {counted(len(refusals), 'reason')}. Nothing was changed."
    return "\n".join([heading, *map(refusal_line, refusals)])
