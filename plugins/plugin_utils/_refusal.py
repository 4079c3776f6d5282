# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Why a request cannot work, in words that name the variable to change."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Refusal:
    """One reason, and the variable to change. With `waive` it is an estimate or a risk that can be accepted by name."""

    variable: str
    value: Any
    message: str
    waive: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"variable": self.variable, "value": self.value, "message": self.message, "waive": self.waive}


def hint(name: Any, known: Iterable[str]) -> str:
    """Which of the known names was meant, where one is near."""
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


class Checker:
    """Reads values one by one and keeps every refusal."""

    def __init__(self) -> None:
        self.refusals: list[Refusal] = []

    def refuse(self, variable: str, value: Any, message: str) -> None:
        self.refusals.append(Refusal(f"trtllm_{variable}", value, message))

    def choice(self, variable: str, value: Any, allowed: Iterable[str], what: str) -> bool:
        """True where `value` is one of `allowed`; a near miss is named."""
        names = list(allowed)
        if isinstance(value, str) and value in names:
            return True
        self.refuse(
            variable, value, f"{value!r} is not a known {what}{hint(value, names)}; known are: {', '.join(names)}"
        )
        return False

    def record(self, variable: str, given: Any, kind: Any) -> Any:
        """A mapping as the dataclass `kind`, defaults filled in; None where a key is wrong, missing or unknown."""
        known = {entry.name: entry for entry in fields(kind)}
        if not isinstance(given, Mapping):
            self.refuse(variable, given, f"must be a mapping with keys out of {', '.join(known)}")
            return None
        before = len(self.refusals)
        values = {}
        for key, value in given.items():
            if self.choice(f"{variable}.{key}", key, known, "key"):
                values[key] = self._field(f"{variable}.{key}", value, known[key])
        for name, entry in known.items():
            if entry.default is MISSING and name not in given:
                self.refuse(f"{variable}.{name}", None, "is missing")
        return kind(**values) if len(self.refusals) == before else None

    def _field(self, variable: str, value: Any, entry: Field[Any]) -> Any:
        kind = str(entry.type)
        if value is None and "None" in kind:
            return None
        if "int" in kind:
            return self.count(variable, value, entry.metadata.get("least", 1))
        if "float" in kind:
            return self.fraction(variable, value)
        return self.boolean(variable, value) if kind == "bool" else self.text(variable, value)

    def text(self, variable: str, value: Any) -> str:
        if not isinstance(value, str):
            self.refuse(variable, value, "must be a string")
            return ""
        return value

    def boolean(self, variable: str, value: Any) -> bool:
        if not isinstance(value, bool):
            self.refuse(variable, value, "must be true or false")
        return value is True

    def count(self, variable: str, value: Any, least: int = 1) -> int:
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self.refuse(variable, value, f"must be a whole number of at least {least}")
            return least
        return value

    def fraction(self, variable: str, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = 0.0
        if isinstance(value, bool) or not 0 < number <= 1:
            self.refuse(variable, value, "must be a number above 0 and up to 1")
        return number


def refusal_line(refusal: Mapping[str, Any]) -> str:
    """One reason as a person reads it."""
    accept = f" (or accept it: trtllm_plan_waive: [{refusal['waive']}])" if refusal["waive"] else ""
    value = "" if refusal["value"] is None else f" = {refusal['value']!r}"
    return f"- {refusal['variable']}{value}: {refusal['message']}{accept}"
