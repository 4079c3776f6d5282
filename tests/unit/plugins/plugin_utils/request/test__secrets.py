# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets in variables are refused, and no plan, message or table shows them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.action.trtllm_plan import OF_ROLES, _host
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._fleet import plan_fleet
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._secrets import without_secrets
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._variables import VARIABLES
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._table import plan_table
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, host

CANARY = "S3CRETCANARY"
GOOD = {"trtllm_model": "mixtral-8x7b-instruct", "trtllm_release": "0.17.0"}
COMMIT = "1" * 40
URL = f"https://ops:{CANARY}@git.example.com/x"
# Read by name only, or protected: the password of the proxy is never in a plan.
UNREAD = {name for name, entry in VARIABLES.items() if not (entry.request or entry.spec or entry.plan)}
SCALARS = {name: URL for name in VARIABLES if name not in UNREAD}


def planned(**variables: Any) -> Any:
    known = _host({**OF_ROLES, **GOOD, **variables}, host(), None, False, str)
    return plan_fleet({"one": known}, CATALOGUE)


def refusals(**variables: Any) -> dict[str, dict[str, Any]]:
    fleet = planned(**variables)
    plan = fleet["hosts"]["one"]
    shown = json.dumps(fleet) + plan_table(fleet["hosts"])
    assert CANARY not in shown
    # The first of each variable.
    return {entry["variable"]: entry for entry in reversed(plan["refusals"])}


@pytest.mark.parametrize("name", [*SCALARS, *OF_ROLES])
def test_no_variable_shows_a_secret_of_a_url(name: str) -> None:
    found = refusals(**{name: URL})
    assert name in found


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"trtllm_weights": {"endpoint": f"https://{CANARY}@hub.example.com"}}, "trtllm_weights.endpoint"),
        ({"trtllm_weights": {"endpoint": f"HTTPS://:{CANARY}@hub.example.com:1/x"}}, "trtllm_weights.endpoint"),
        ({"trtllm_weights": {"endpoint": f"https://ops:a/{CANARY}@hub.example.com"}}, "trtllm_weights.endpoint"),
        ({"trtllm_weights": {"endpoint": f"https://ops:a#? {CANARY}@hub.example.com"}}, "trtllm_weights.endpoint"),
        ({"trtllm_weights": {"endpoint": f"https://ops:a@{CANARY}@hub.example.com"}}, "trtllm_weights.endpoint"),
        ({"trtllm_weights": json.dumps({"endpoint": URL})}, "trtllm_weights"),
        (
            {"trtllm_sources": {"backend": {"repository": URL, "commit": COMMIT}}},
            "trtllm_sources.backend.repository",
        ),
        ({"trtllm_sources": {"backend": {"repository": URL, "commit": "x"}}}, "trtllm_sources.backend.repository"),
        (
            {"trtllm_sources": {"backend": {"repository": f"ssh://git:{CANARY}@git/x", "commit": COMMIT}}},
            "trtllm_sources.backend.repository",
        ),
        ({"trtllm_git_mirrors": {"https://github.com/": URL}}, "trtllm_git_mirrors.https://github.com/"),
        ({"trtllm_git_mirrors": {URL: "https://git.example.com/"}}, "trtllm_git_mirrors"),
        ({"trtllm_model": {"repository": URL, "revision": COMMIT}}, "trtllm_model.repository"),
        ({"trtllm_model": URL}, "trtllm_model"),
        ({"trtllm_tokenizer": {"repository": URL, "revision": COMMIT}}, "trtllm_tokenizer.repository"),
        ({"trtllm_image": {"reference": f"{URL}:1"}}, "trtllm_image.reference"),
        ({"trtllm_image": {"source": "build", "build": {"args": {"INDEX": URL}}}}, "trtllm_image.build.args.INDEX"),
        (
            {"trtllm_deployments": {"small": {"model": GOOD["trtllm_model"], "weights": {"endpoint": URL}}}},
            "trtllm_deployments.small.weights.endpoint",
        ),
        ({"trtllm_bundle_mirrors": {"debian": URL}}, "trtllm_bundle_mirrors.debian"),
        ({"trtllm_bundle_repositories": {"debian-12": [{"uris": URL}]}}, "trtllm_bundle_repositories.debian-12.uris"),
        (
            {"trtllm_repository_parameters": {"tensorrt_llm": {"engine_dir": URL}}},
            "trtllm_repository_parameters.tensorrt_llm.engine_dir",
        ),
        ({"docker_vendor_url": URL}, "docker_vendor_url"),
    ],
)
def test_a_login_in_a_url_is_refused_without_being_shown(variables: dict[str, Any], path: str) -> None:
    entry = refusals(**variables)[path]
    assert entry["value"] is None and "user name or password" in entry["message"]


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com:8443/team@example/x",
        "git@git.example.com:team/x.git",
        "https://[::1]:8443/team@example/x",
        "https://git.example.com:8443?mail=a@b",
        "ssh://git@git.example.com/x",
        "/srv/mirror@2026",
        "https://git.example.com/x?mail=a@b",
    ],
)
def test_other_urls_are_not_changed(url: str) -> None:
    variables = {"trtllm_sources": {"backend": {"repository": url}}, "trtllm_proxy": {"http": URL}}
    assert without_secrets(variables) == (variables, [])


@pytest.mark.parametrize(
    ("endpoint", "is_refused"),
    [
        ("http://hub.example.com", True),
        ("http://10.0.0.7:8080/hub", True),
        ("http://127.0.0.1.example.com", True),
        ("http://[hub", True),
        ("https://hub.example.com", False),
        ("http://127.0.0.2:8090", False),
        ("http://[::1]:8090", False),
        ("http://localhost:8090", False),
    ],
)
def test_a_token_is_not_sent_without_encryption(endpoint: str, is_refused: bool) -> None:
    hub, token = {"trtllm_weights": {"endpoint": endpoint}}, {"trtllm_token_file": "/nowhere/token"}
    assert "trtllm_weights.endpoint" not in refusals(**hub)
    assert "trtllm_weights.endpoint" not in refusals(**hub, **token, trtllm_waive=["unencrypted_token"])
    found = refusals(**hub, **token)
    assert ("trtllm_weights.endpoint" in found) == is_refused
    assert not is_refused or found["trtllm_weights.endpoint"]["waive"] == "unencrypted_token"
    # Nothing reads the file for a plan that is refused.
    assert (_host({**OF_ROLES, **GOOD, **hub, **token}, host(), None, False, str).token_file is None) == is_refused


@pytest.mark.parametrize("args", [{"HF_TOKEN": CANARY}, {"ngc_api_key": f"{CANARY}\n"}, [f"HF_TOKEN={CANARY}"]])
def test_secrets_are_not_build_arguments(args: Any) -> None:
    found = refusals(trtllm_image={"source": "build", "build": {"args": args}})
    name = next(iter(args)) if isinstance(args, dict) else ""
    assert (f"trtllm_image.build.args.{name}" if name else "trtllm_image.build.args") in found
    assert not name or any("image's history" in entry["message"] for entry in found.values()) or "\n" in args[name]


def test_other_build_arguments_are_accepted() -> None:
    assert not refusals(trtllm_image={"source": "build", "build": {"args": {"TOKENS_PER_STEP": "1", "KEY": "x"}}})
