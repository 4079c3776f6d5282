# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host is its own gateway: configured, proved and verified by the playbooks, and removed by teardown later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from site_under_test import PROJECT, Site
from test_4_release import LARGER_QUEUE

pytestmark = pytest.mark.long

# Runs with the host's Python.
ASK = """
import json, sys, requests
url, key = "https://localhost/default/v2/models/ensemble/generate", sys.argv[1]
body = {"text_input": "What is cloud computing?", "max_tokens": 16}
headers = {"Authorization": "Bearer " + key}
answer = requests.post(url, json=body, headers=headers, verify="/etc/trtllm/gateway/ca.pem", timeout=120)
print(answer.status_code, answer.json().get("text_output", "").strip())
"""


def ask(site: Site, key: str) -> str:
    return site.read(f"{site.root}/venv/bin/python", "-c", ASK, key).strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
def inventory(folder: Path) -> Iterator[tuple[str, ...]]:
    """Added to that of the rehearsal."""
    variables = {
        "trtllm_gateway_authority": str(folder / "authority"),
        "trtllm_gateway_keys": str(folder / "keys.yml"),
        "trtllm_endpoint": {"address": "127.0.0.1"},
        "trtllm_gateway": {"certificate_names": ["localhost"]},
        "haproxy_source": "existing",
        "haproxy_executable": "/usr/local/sbin/haproxy",
    }
    file = folder / "gateway.yml"
    file.write_text(json.dumps({"gateway": {"hosts": {"rehearsal": None}}, "all": {"vars": variables}}))
    yield "-i", str(file)


@pytest.fixture(scope="module")
def key(folder: Path, site: Site, inventory: tuple[str, ...]) -> str:
    """Also provides HAProxy. It is removed in test_8_installed.py."""
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.import_tasks": str(PROJECT / "playbooks/tasks/rehearse_haproxy.yml")},
        {
            "tritonops.trtllm.api_key": {"path": str(folder / "keys.yml"), "name": "test", "models": ["default"]},
            "register": "issued",
        },
        {"ansible.builtin.debug": {"msg": "key={{ issued.key }}="}},
    ]
    playbook = folder / "prepare.json"
    playbook.write_text(json.dumps([{"hosts": "rehearsal", "gather_facts": False, "tasks": tasks}]))
    played = site.play(str(playbook), *inventory)
    assert played.returncode == 0
    return played.output.split("key=")[1].split("=")[0]


def test_site_ends_with_a_completion_through_the_gateway(site: Site, inventory: tuple[str, ...], key: str) -> None:
    played = site.play("site", *inventory, variables=LARGER_QUEUE)
    assert played.returncode == 0 and "rehearsal: gateway: triton-default: " in played.output
    assert ask(site, key).startswith("200 ") and "cloud" in ask(site, key).lower()
    assert ask(site, "sk-other") == "401"
    again = site.play("site", *inventory, variables=LARGER_QUEUE)
    assert (again.returncode, again.changed) == (0, 0)


def test_the_key_of_the_run_is_removed(site: Site, inventory: tuple[str, ...], key: str) -> None:
    played = site.play("verify", *inventory)
    assert played.returncode == 0 and "rehearsal: gateway: triton-default: " in played.output
    assert [
        line.split()[1].split("|")[0] for line in site.read("cat", "/etc/trtllm/gateway/keys.map").splitlines()
    ] == ["test"]
    assert site.read("cat", "/etc/trtllm/gateway/run_keys.map") == ""
    assert "run-of-ansible" not in site.read(
        "sh", "-c", "echo 'show map /etc/trtllm/gateway/run_keys.map' | socat - /run/trtllm-gateway/haproxy.sock"
    )


def test_routes_of_a_host_without_a_plan_are_not_lost(site: Site, inventory: tuple[str, ...], folder: Path) -> None:
    further = folder / "further.yml"
    further.write_text(json.dumps({"trtllm": {"hosts": {"absent": None}}}))
    options = ("-i", str(further), "--limit", "rehearsal", "--tags", "gateway")
    played = site.play("site", *inventory, *options, variables=LARGER_QUEUE)
    assert played.returncode != 0
    assert "would lose its routes to absent" in " ".join(played.output.split())


def test_preflight_checks_the_gateway(site: Site, inventory: tuple[str, ...]) -> None:
    """Its own ports count as available. An HAProxy that is too old is an error before anything is changed."""
    played = site.play("preflight", *inventory, variables=LARGER_QUEUE)
    assert played.returncode == 0
    site.run(
        "sh",
        "-c",
        "printf '#!/bin/sh\necho HAProxy version 2.6.12' > /usr/local/sbin/old && chmod +x /usr/local/sbin/old",
    )
    old = {**LARGER_QUEUE, "haproxy_executable": "/usr/local/sbin/old"}
    played = site.play("preflight", *inventory, variables=old)
    site.run("rm", "/usr/local/sbin/old")
    assert played.returncode != 0
    assert "HAProxy 2.6.12, but gateways and endpoints need 2.8 or later" in " ".join(played.output.split())
