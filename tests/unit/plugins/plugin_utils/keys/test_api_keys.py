# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""API keys: their file, and the records for HAProxy."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.keys._api_keys import (
    LARGEST,
    ApiKey,
    as_content,
    ensure_key,
    hash_of,
    map_entries,
    new_secret,
    read_keys,
    table,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)
HASH = "0" * 64
SEARCH = ApiKey("search", HASH, ("chat",), requests_per_minute=5)
OTHER = ApiKey("other", "1" * 64)


def test_what_is_written_is_read_again() -> None:
    keys = [SEARCH, OTHER, ApiKey("old", "2" * 64, expires="2027-01-31")]
    content = as_content(keys)
    assert content[1] == {"name": "other", "hash": "1" * 64}
    assert read_keys(content) == (keys, [])
    assert read_keys(None) == ([], [])


def test_a_date_without_quotes_is_a_date() -> None:
    keys, problems = read_keys([{"name": "a", "hash": HASH, "expires": date(2027, 1, 31)}])
    assert problems == [] and keys[0].expires == "2027-01-31"


def test_records_have_the_limits_in_order() -> None:
    keys = [ApiKey("a", HASH, ("x", "y/z"), 1, 2, 3, "1970-01-02"), OTHER]
    assert map_entries(keys) == {HASH: "a|1|2|3|86400|x,y/z", "1" * 64: "other|0|0|0|0|*"}


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("x", "must be a mapping"),
        ({"hash": HASH}, "name must"),
        ({"name": "a|b", "hash": HASH}, "name must"),
        ({"name": "a b", "hash": HASH}, "name must"),
        ({"name": "a"}, "hash must"),
        ({"name": "a", "hash": "sk-secret"}, "hash must"),
        ({"name": "a", "hash": HASH.replace("0", "A")}, "hash must"),
        ({"name": "a", "hash": HASH, "modles": []}, "modles is unknown"),
        ({"name": "a", "hash": HASH, "models": "chat"}, "models must"),
        ({"name": "a", "hash": HASH, "models": ["a,b"]}, "models must"),
        ({"name": "a", "hash": HASH, "models": ["a|b"]}, "models must"),
        ({"name": "a", "hash": HASH, "models": ["*", "chat"]}, "already permits all"),
        ({"name": "a", "hash": HASH, "at_once": -1}, "at_once must"),
        ({"name": "a", "hash": HASH, "at_once": "5"}, "at_once must"),
        ({"name": "a", "hash": HASH, "at_once": True}, "at_once must"),
        ({"name": "a", "hash": HASH, "tokens_per_minute": LARGEST + 1}, "tokens_per_minute must"),
        ({"name": "a", "hash": HASH, "expires": "tomorrow"}, "expires must"),
    ],
)
def test_wrong_entries_are_refused(entry: Any, problem: str) -> None:
    keys, problems = read_keys([entry])
    assert keys == [] and len(problems) == 1 and problems[0].startswith("key 1: ") and problem in problems[0]


def test_all_problems_are_reported_at_once() -> None:
    assert len(read_keys([{"at_once": -1}, {"name": "a", "hash": HASH, "x": 1}])[1]) == 4
    assert read_keys({"name": "a"})[1] == ["the file must contain a list of keys"]
    assert read_keys([{"name": n, "hash": HASH} for n in "ab"])[1] == [
        f"{n}: another key has the same hash" for n in "ab"
    ]


def test_a_new_key_is_random_and_known_by_its_hash_only() -> None:
    keys, secret = ensure_key([OTHER], "search", {"models": ("chat",)}, False, 0, NOW)
    assert keys == [OTHER, ApiKey("search", hash_of(secret), ("chat",))]
    assert secret.startswith("sk-") and len(secret) > 40 and secret != new_secret()


def test_an_existing_key_only_changes_what_is_given() -> None:
    keys, secret = ensure_key([SEARCH, OTHER], "search", {"at_once": 2}, False, 0, NOW)
    assert keys == [ApiKey("search", HASH, ("chat",), requests_per_minute=5, at_once=2), OTHER] and not secret
    assert ensure_key([SEARCH], "search", {}, False, 0, NOW) == ([SEARCH], "")


def test_rotation_keeps_the_limits_and_lets_the_old_key_expire() -> None:
    keys, secret = ensure_key([SEARCH], "search", {}, True, 3600, NOW)
    old, new = keys
    assert (old.hash, old.expires) == (HASH, "2026-11-28T13:00:00Z")
    assert new == ApiKey("search", hash_of(secret), ("chat",), requests_per_minute=5)
    # A key that expires earlier anyway keeps its date, as does its successor.
    ends = ApiKey("search", HASH, expires="2026-11-28T12:30:00Z")
    assert {key.expires for key in ensure_key([ends], "search", {}, True, 3600, NOW)[0]} == {ends.expires}


def test_the_table_has_all_but_the_hashes() -> None:
    old = ApiKey("search", "2" * 64, expires="2026-11-28T12:00:00Z")
    assert table([SEARCH, OTHER, old], NOW) == [
        "key     requests/min  tokens/min  at once  expires                         models",
        "other   -             -           -        never                           *",
        "search  5             -           -        never                           chat",
        "search  -             -           -        2026-11-28T12:00:00Z (expired)  *",
    ]
