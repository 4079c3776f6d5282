# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers of a hub and what they mean."""

from __future__ import annotations

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._hub_access import (
    Hub,
    Reply,
    Unreachable,
    check_hub,
    check_reach,
    check_registry,
)

NAMES = {name: f"my_{name}" for name in ("endpoint", "repository", "token", "ca_bundle", "registry")}
INFO = "https://hub.example/api/models/owner/model/revision/refs%2Fpr%2F1"
FILE = "https://hub.example/owner/model/resolve/refs%2Fpr%2F1/config.json"
OK = Reply(200, {})


def hub(token: bool = False) -> Hub:
    return Hub("https://hub.example", "owner/model", "refs/pr/1", ["config.json", "b"], token, NAMES)


def answers(info: Reply, file: Reply = OK) -> tuple[list[str], object]:
    asked: list[str] = []

    def fetch(method: str, url: str) -> Reply:
        asked.append(f"{method} {url}")
        return info if method == "GET" else file

    return asked, fetch


def test_open_hub_is_asked_twice() -> None:
    asked, fetch = answers(OK, Reply(307, {}))
    assert check_hub(hub(), fetch) == []
    assert asked == [f"GET {INFO}", f"HEAD {FILE}"]


GATED = {"x-error-code": "GatedRepo", "x-error-message": "Access to model owner/model is restricted."}


@pytest.mark.parametrize(
    ("info", "file", "token", "name"),
    [
        (OK, Reply(401, GATED), False, "hub_token_missing"),
        (OK, Reply(403, GATED), True, "hub_token_refused"),
        (OK, Reply(403, {}), False, "hub_token_missing"),
        (Reply(401, {}), OK, True, "hub_token_refused"),
        (Reply(401, {"x-error-code": "RepoNotFound"}), OK, False, "hub_not_found"),
        (Reply(404, {"x-error-code": "RevisionNotFound"}), OK, True, "hub_not_found"),
        (OK, Reply(404, {"x-error-code": "EntryNotFound"}), True, "hub_not_found"),
        (Reply(503, {}), OK, True, "hub_unreachable"),
        (Reply(429, {}), OK, True, "hub_unreachable"),
    ],
)
def test_refusals(info: Reply, file: Reply, token: bool, name: str) -> None:
    _asked, fetch = answers(info, file)
    (finding,) = check_hub(hub(token), fetch)
    assert (finding["id"], finding["severity"]) == (name, "error")
    assert "owner/model" in finding["message"]


def test_gated_model_says_what_to_do() -> None:
    _asked, fetch = answers(OK, Reply(403, GATED))
    (finding,) = check_hub(hub(True), fetch)
    assert "HTTP 403 GatedRepo Access to model owner/model is restricted." in finding["message"]
    assert "https://hub.example/owner/model" in finding["remedy"] and "my_token" in finding["remedy"]


def test_missing_file_is_named() -> None:
    _asked, fetch = answers(OK, Reply(404, {"x-error-code": "EntryNotFound"}))
    assert "no file config.json" in check_hub(hub(), fetch)[0]["message"]


def silence(_method: str, _url: str) -> Reply:
    raise Unreachable("Connection refused")


def test_silent_hub() -> None:
    (finding,) = check_hub(hub(), silence)
    assert finding["message"] == "the hub https://hub.example does not answer: Connection refused"
    assert "my_endpoint" in finding["remedy"] and "my_ca_bundle" in finding["remedy"]


@pytest.mark.parametrize(("status", "fine"), [(200, True), (401, True), (404, False), (502, False)])
def test_registry(status: int, fine: bool) -> None:
    asked, fetch = answers(Reply(status, {}))
    assert (check_registry("registry.example:5000", NAMES, fetch) == []) == fine
    assert asked == ["GET https://registry.example:5000/v2/"]


def test_silent_registry() -> None:
    assert "Connection refused" in check_registry("http://registry.example", NAMES, silence)[0]["message"]


def test_a_registry_whose_certificate_the_host_does_not_know() -> None:
    """The engine may know it, or get to know it before it is asked for an image."""

    def fetch(_method: str, _url: str) -> Reply:
        raise Unreachable("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate")

    (finding,) = check_registry("registry.example", NAMES, fetch)
    assert (finding["id"], finding["severity"]) == ("registry_certificate", "warning")
    assert "docker_registry_ca_files" in finding["remedy"] and "my_ca_bundle" in finding["remedy"]


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1:5000", "http://127.0.0.1:5000/v2/"),
        ("localhost", "http://localhost/v2/"),
        ("localhost.example", "https://localhost.example/v2/"),
    ],
)
def test_a_registry_on_the_host_itself_has_no_certificate(address: str, url: str) -> None:
    asked, fetch = answers(OK)
    assert check_registry(address, NAMES, fetch) == [] and asked == [f"GET {url}"]


@pytest.mark.parametrize(("status", "fine"), [(200, True), (403, True), (404, True), (407, False), (503, False)])
def test_any_answer_but_the_proxys_shows_that_a_source_is_reached(status: int, fine: bool) -> None:
    asked, fetch = answers(Reply(status, {}))
    assert (check_reach("packages", "https://packages.example/", "my_source", fetch) == []) == fine
    assert asked == ["GET https://packages.example/"]


def test_a_source_that_is_not_reached() -> None:
    (finding,) = check_reach("packages", "https://packages.example/", "my_source", silence)
    assert finding["message"] == "https://packages.example/ (packages) does not answer: Connection refused"
    assert (finding["id"], finding["severity"]) == ("unreachable", "error")
    assert "my_source" in finding["remedy"] and "proxy" in finding["remedy"]
