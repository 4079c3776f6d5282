# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ArtifactError
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._registry_login import credentials, registry_of

AUTH = base64.b64encode(b"$oauthtoken:a:key").decode()


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("nvcr.io/nvidia/tritonserver:25.12", "nvcr.io"),
        ("localhost/image", "localhost"),
        ("registry:5000/image", "registry:5000"),
        ("nvidia/cuda:12.3", "docker.io"),
        ("debian", "docker.io"),
    ],
)
def test_the_registry_of_a_name(reference: str, registry: str) -> None:
    assert registry_of(reference) == registry


@pytest.mark.parametrize(
    ("name", "registry"),
    [
        ("nvcr.io", "nvcr.io"),
        ("https://nvcr.io", "nvcr.io"),
        ("https://registry.example.com:5000/v2/", "registry.example.com:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
    ],
)
def test_the_entry_of_a_config(name: str, registry: str) -> None:
    found = credentials(json.dumps({"auths": {"other": {}, name: {"auth": AUTH}}}), registry)
    assert found == {"username": "$oauthtoken", "password": "a:key", "serveraddress": registry}


def test_a_token_instead_of_a_password() -> None:
    entry = {"auth": base64.b64encode(b"00000000:").decode(), "identitytoken": "token"}
    assert credentials(json.dumps({"auths": {"nvcr.io": entry}}), "nvcr.io")["identitytoken"] == "token"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("user:password", "two lines: user name and password"),
        ("one\ntwo\nthree", "two lines: user name and password"),
        ('{"auths": ', "are not valid JSON"),
        ("{}", "have no entry for nvcr.io, only for: none"),
        ('{"auths": {"ghcr.io": {"auth": "c2VjcmV0"}}}', "have no entry for nvcr.io, only for: ghcr.io"),
        ('{"auths": {"nvcr.io": {}}, "credsStore": "pass"}', "are in a credential helper"),
        ('{"auths": {"nvcr.io": {"auth": "secret!"}}}', "have an invalid entry for nvcr.io"),
    ],
)
def test_invalid_credentials_are_refused_without_showing_them(text: str, says: str) -> None:
    with pytest.raises(ArtifactError, match=says) as caught:
        credentials(text, "nvcr.io")
    assert "secret" not in str(caught.value)
