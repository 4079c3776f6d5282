# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials for Git servers are read in both formats; mistakes are reported without any of their text."""

from __future__ import annotations

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.backend._git_auth import Credential, credentials

HOST = "https://git.example.com"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://ops:p%40ss%2F@git.example.com\n", [Credential(HOST, "ops", "p@ss/")]),
        (
            "# two\n\nhttps://ops:one@git.example.com:8443\nhttps://ops:two@git.example.com/team\n",
            [Credential(f"{HOST}:8443", "ops", "one"), Credential(f"{HOST}/team", "ops", "two")],
        ),
        ("http://ops:x@127.0.0.1:3000", [Credential("http://127.0.0.1:3000", "ops", "x")]),
        ("machine git.example.com login ops password p@ss/", [Credential(HOST, "ops", "p@ss/")]),
        (
            'machine git.example.com\n  login ops\n  password "a b"\nmachine other.example.com login me password x\n',
            [Credential(HOST, "ops", "a b"), Credential("https://other.example.com", "me", "x")],
        ),
    ],
)
def test_both_formats_are_read(text: str, found: list[Credential]) -> None:
    assert credentials(text) == found


def test_a_credential_is_written_for_git() -> None:
    assert Credential(f"{HOST}/team", "o:s", "p@ss/").line == "https://o%3As:p%40ss%2F@git.example.com/team"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\n", "must be lines such as"),
        ("S3CRET", "must be lines such as"),
        ("ops\nS3CRET\n", "must be lines such as"),
        ("https://S3CRET@git.example.com", "must be lines such as"),
        ("https://ops:S3CRET@[git", "must be lines such as"),
        ("ssh://ops:S3CRET@git.example.com", "must be lines such as"),
        ("machine git.example.com password S3CRET", "must be lines such as"),
        ('machine git.example.com login ops password "S3CRET', "must be lines such as"),
        ("machine git.example.com login ops password S3CRET macdef x", "must be lines such as"),
        ("http://ops:S3CRET@git.example.com", "without encryption"),
    ],
)
def test_mistakes_are_reported_without_the_text(text: str, says: str) -> None:
    with pytest.raises(ModuleFailure, match=says) as caught:
        credentials(text)
    assert "S3CRET" not in str(caught.value)
