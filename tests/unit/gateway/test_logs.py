# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of gateways and endpoints show what happened, and never a key, a prompt or an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.keys._api_keys import hash_of
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import BODY_BYTES, Fleet, wait_for

PROMPT, ANSWER, KEY = "canary-of-a-prompt", "canary-of-an-answer", "sk-canary-of-a-key"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path, token_seconds=0)
    for server in fleet.models.values():
        server.word = ANSWER
    yield fleet
    fleet.close()


def logs(fleet: Fleet) -> str:
    return "".join(process.log.read_text() for process in (fleet.gateway, *fleet.endpoints.values()))


def body(**options: object) -> str:
    messages = [{"role": "user", "content": PROMPT}]
    return json.dumps({"model": "chat", "messages": messages, "prompt": PROMPT, "max_tokens": 3, **options})


def test_nothing_that_users_send_or_get_is_logged(fleet: Fleet) -> None:
    answers = [fleet.chat(body()), fleet.chat(body(stream=True))]
    assert all(answer.status_code == 200 and ANSWER in answer.text for answer in answers)
    generate = json.dumps({"text_input": PROMPT, "max_tokens": 3})
    assert ANSWER in fleet.request("POST", "/triton/v2/models/ensemble/generate", generate).text
    refused = [
        fleet.chat(body(), KEY),
        fleet.chat(body(model=f"other-{fleet.port}")),
        fleet.chat(body()[:-1]),
        fleet.chat(body(padding="x" * BODY_BYTES)),
        fleet.request("POST", f"/v1/completions?key={KEY}&prompt={PROMPT}", body(), KEY),
    ]
    assert [answer.status_code for answer in refused] == [401, 404, 400, 413, 401]
    wait_for(lambda: len(fleet.access_log()) >= len(answers) + 1 + len(refused))
    for secret in (PROMPT, ANSWER, KEY, fleet.KEY, hash_of(KEY), hash_of(fleet.KEY)):
        assert secret not in logs(fleet), secret


def test_a_model_server_that_fails_does_not_bring_its_request_into_a_log(fleet: Fleet) -> None:
    for host in fleet.HOSTS:
        fleet.models[host, "chat"].break_off = True
    assert fleet.chat(body()).status_code == 502
    # The endpoint only logs what went wrong.
    wait_for(lambda: "/v1/chat/completions" in logs(fleet))
    assert PROMPT not in logs(fleet) and fleet.KEY not in logs(fleet)
