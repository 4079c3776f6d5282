# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""API keys of the gateway: records with the hash of a key and its limits. A key itself is never stored."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta, timezone
from typing import Any

PREFIX = "sk-"
ALL_MODELS = "*"
# HAProxy counts in 32 bits.
LARGEST = 1_000_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
_HASH = re.compile(r"[0-9a-f]{64}")
_LIMITS = ("requests_per_minute", "tokens_per_minute", "at_once")
KEY_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "rotate": {"type": "bool", "default": False},
    "overlap": {"type": "int", "default": 86400},
    "models": {"type": "list", "elements": "str"},
    "requests_per_minute": {"type": "int"},
    "tokens_per_minute": {"type": "int"},
    "at_once": {"type": "int"},
    "expires": {"type": "str"},
}
"""What the module api_key and the variable trtllm_key have in common."""
_COLUMNS = ("key", "requests/min", "tokens/min", "at once", "expires", "models")


@dataclass(frozen=True)
class ApiKey:
    """A limit of 0 is no limit. `models` are names in the API, or of deployments. `expires` is a date or a time in UTC.

    Keys with the same name share their limits, so that a key can be replaced while the old one still works.
    """

    name: str
    hash: str
    models: tuple[str, ...] = (ALL_MODELS,)
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    at_once: int = 0
    expires: str = ""


def new_secret() -> str:
    """A new key, with 256 random bits, so that its hash needs no salt."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def read_keys(content: Any) -> tuple[list[ApiKey], list[str]]:
    """The keys of a file's content, and all problems with it."""
    if content is None:
        return [], []
    if not isinstance(content, Sequence) or isinstance(content, str):
        return [], ["the file must contain a list of keys"]
    keys, problems = [], []
    for number, entry in enumerate(content, 1):
        wrong = _problems(entry)
        problems += [f"key {number}: {problem}" for problem in wrong]
        if not wrong:
            # YAML reads a date without quotes as a date.
            plain = {"models": tuple(entry.get("models") or (ALL_MODELS,)), "expires": str(entry.get("expires") or "")}
            keys.append(ApiKey(**{**entry, **plain}))
    hashes = [key.hash for key in keys]
    problems += [f"{key.name}: another key has the same hash" for key in keys if hashes.count(key.hash) > 1]
    return keys, problems


def ensure_key(
    keys: Sequence[ApiKey], name: str, settings: Mapping[str, Any], rotate: bool, overlap: int, now: datetime
) -> tuple[list[ApiKey], str]:
    """The keys with those of the name changed, or with a new one, which is returned as well; empty if none is issued.

    `settings` are fields of `ApiKey`. With `rotate`, other keys of the name expire after `overlap` seconds.
    """
    own = [replace(key, **settings) for key in keys if key.name == name]
    others = [key for key in keys if key.name != name]
    if own and not rotate:
        return [replace(key, **settings) if key.name == name else key for key in keys], ""
    secret = new_secret()
    issued = replace(own[-1] if own else ApiKey(name, "", **settings), hash=hash_of(secret))
    end = now + timedelta(seconds=overlap)
    return [*others, *(_expire(key, end) for key in own), issued], secret


def _expire(key: ApiKey, end: datetime) -> ApiKey:
    """The key, with an end of its validity that is not later than this."""
    earlier = seconds(key.expires)
    return key if earlier and earlier <= end.timestamp() else replace(key, expires=f"{end:%Y-%m-%dT%H:%M:%SZ}")


def as_content(keys: Iterable[ApiKey]) -> list[dict[str, Any]]:
    """The keys as plain types, to be written to a file. Values that are defaults are left out."""
    defaults = {field.name: field.default for field in fields(ApiKey)}
    return [
        {
            name: list(value) if name == "models" else value
            for name, value in asdict(key).items()
            if value != defaults[name]
        }
        for key in keys
    ]


def map_entries(keys: Iterable[ApiKey]) -> dict[str, str]:
    """The records for HAProxy, by hash: name, limits, expiry in seconds since 1970, models (see roles/gateway)."""
    return {
        key.hash: "|".join(
            (
                key.name,
                *(str(getattr(key, name)) for name in _LIMITS),
                str(seconds(key.expires)),
                ",".join(key.models),
            )
        )
        for key in keys
    }


def table(keys: Iterable[ApiKey], now: datetime) -> list[str]:
    """The keys without their hashes, as lines with a heading."""
    rows = [_COLUMNS, *(_row(key, now) for key in sorted(keys, key=lambda key: (key.name, key.expires)))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _row(key: ApiKey, now: datetime) -> tuple[str, ...]:
    limits = (str(getattr(key, name) or "-") for name in _LIMITS)
    over = " (expired)" if key.expires and seconds(key.expires) <= now.timestamp() else ""
    return (key.name, *limits, f"{key.expires}{over}" or "never", ", ".join(key.models))


def seconds(expires: str) -> int:
    """The time as seconds since 1970, 0 for none. A date means its beginning. ValueError if it is neither."""
    if not expires:
        return 0
    time = datetime.fromisoformat(expires)
    return int((time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp())


def _problems(entry: Any) -> list[str]:
    known = {field.name for field in fields(ApiKey)}
    if not isinstance(entry, Mapping):
        return ["must be a mapping"]
    problems = [f"{name} is unknown; known are {', '.join(sorted(known))}" for name in entry if name not in known]
    if not _NAME.fullmatch(str(entry.get("name", ""))):
        problems.append("name must consist of letters, digits and any of ._- (at most 63)")
    if not _HASH.fullmatch(str(entry.get("hash", ""))):
        problems.append("hash must be the SHA-256 of the key, as 64 hexadecimal digits")
    models = entry.get("models") or [ALL_MODELS]
    if not isinstance(models, (list, tuple)) or not all(m == ALL_MODELS or _MODEL.fullmatch(str(m)) for m in models):
        problems.append("models must be a list of names of models or deployments")
    elif ALL_MODELS in models and len(models) > 1:
        problems.append(f"models: {ALL_MODELS} already permits all")
    problems += [f"{name} must be a whole number from 0 to {LARGEST}" for name in _LIMITS if not _is_limit(entry, name)]
    try:
        seconds(str(entry.get("expires") or ""))
    except ValueError:
        problems.append("expires must be a date, such as 2027-06-30, or a time, such as 2027-06-30T12:00:00Z")
    return problems


def _is_limit(entry: Mapping[str, Any], name: str) -> bool:
    value = entry.get(name, 0)
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST
