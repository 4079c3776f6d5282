# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of hubs, registries and other servers."""

from __future__ import annotations

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks import _network
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._fetch import Fetch, Reply
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Hub, Source
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._network import Network, ask_hub, ask_registry
from ansible_collections.tritonops.trtllm.tests.unit.support.checking import only

HUB = Hub("owner/model", "refs/pr/1", "https://hub.example", ["config.json", "b"])
INFO = "https://hub.example/api/models/owner/model/revision/refs%2Fpr%2F1"
FILE = "https://hub.example/owner/model/resolve/refs%2Fpr%2F1/config.json"
OK = Reply(200)
SILENT = Reply(0, failure="Connection refused")
GATED = {"x-error-code": "GatedRepo", "x-error-message": "Access to model owner/model is restricted."}


def answers(info: Reply, file: Reply = OK) -> tuple[list[str], Fetch]:
    asked: list[str] = []

    def fetch(method: str, url: str) -> Reply:
        asked.append(f"{method} {url}")
        return info if method == "GET" else file

    return asked, fetch


def of_hub(info: Reply, file: Reply = OK, token: bool = False) -> dict[str, tuple[str, str, str]]:
    """The findings of the hub's checks, by id."""
    fetch = answers(info, file)[1]
    return findings_of(Network(ask_hub(HUB, token, fetch, fetch)))


def findings_of(network: Network) -> dict[str, tuple[str, str, str]]:
    checks = [check for check in _network.CHECKS if check.need == "hub"]
    findings = {check.id: list(check.find(HUB, network)) for check in checks}
    return {name: only(entries) for name, entries in findings.items() if entries}


def test_open_hub_is_queried_twice() -> None:
    asked, fetch = answers(OK, Reply(307))
    ask_hub(HUB, False, fetch, fetch)
    assert asked == [f"GET {INFO}", f"HEAD {FILE}"]
    assert of_hub(OK, Reply(307)) == {}


@pytest.mark.parametrize(
    ("info", "file", "token", "name"),
    [
        (OK, Reply(401, GATED), False, "hub_token_missing"),
        (OK, Reply(403, GATED), True, "hub_token_refused"),
        (OK, Reply(403), False, "hub_token_missing"),
        (Reply(401), OK, True, "hub_token_refused"),
        (Reply(401, {"x-error-code": "RepoNotFound"}), OK, False, "hub_not_found"),
        (OK, Reply(404, {"x-error-code": "EntryNotFound"}), True, "hub_not_found"),
        (Reply(404, {"x-error-code": "RevisionNotFound"}), OK, True, "hub_not_found"),
        (Reply(503), OK, True, "hub_unreachable"),
        (Reply(429), OK, True, "hub_unreachable"),
    ],
)
def test_refusals_of_a_hub_are_findings(info: Reply, file: Reply, token: bool, name: str) -> None:
    ((found, (severity, message, _remedy)),) = of_hub(info, file, token).items()
    assert (found, severity) == (name, "error")
    assert "owner/model" in message


def test_gated_model_is_reported_with_a_remedy() -> None:
    _severity, message, remedy = of_hub(OK, Reply(403, GATED), token=True)["hub_token_refused"]
    assert "HTTP 403 GatedRepo Access to model owner/model is restricted." in message
    assert "https://hub.example/owner/model" in remedy and "O(hub.token_file)" in remedy


def test_missing_file_is_named() -> None:
    missing = Reply(404, {"x-error-code": "EntryNotFound"})
    assert "no file config.json" in of_hub(OK, missing)["hub_not_found"][1]


def test_hub_without_an_answer_is_an_error() -> None:
    _severity, message, remedy = of_hub(SILENT)["hub_unreachable"]
    assert message == "the hub https://hub.example does not respond: Connection refused"
    assert "O(hub.endpoint)" in remedy and "O(ca_bundle)" in remedy


LISTING = Reply(200, body=b'{"siblings": [{"rfilename": "config.json"}, {"rfilename": "a b.safetensors"}]}')
WEIGHTS = FILE.replace("config.json", "a%20b.safetensors")
STORED = "https://storage.example/x?signature=secret"


def to(location: str) -> Reply:
    return Reply(302, {"location": location})


def of_storage(replies: dict[str, Reply]) -> tuple[list[str], dict[str, tuple[str, str, str]]]:
    """The requests without the token, and the findings."""
    known, anonymous = {f"GET {INFO}": LISTING, f"HEAD {FILE}": OK, **replies}, []

    def fetch(method: str, url: str) -> Reply:
        assert url.startswith("https://hub.example/")
        return known[f"{method} {url}"]

    def fetch_without_token(method: str, url: str) -> Reply:
        anonymous.append(f"{method} {url}")
        return known[f"{method} {url}"]

    return anonymous, findings_of(Network(ask_hub(HUB, True, fetch, fetch_without_token)))


@pytest.mark.parametrize(
    ("head", "get"),
    [
        (SILENT, None),
        (Reply(403, {"content-type": "text/html"}), Reply(403, {"content-type": "text/html"})),
        (Reply(407), Reply(0, failure="Tunnel connection failed: 403 Forbidden")),
    ],
)
def test_storage_behind_the_hub_that_cannot_be_reached_is_named(head: Reply, get: Reply | None) -> None:
    replies = {f"HEAD {WEIGHTS}": to(STORED), f"HEAD {STORED}": head, **({f"GET {STORED}": get} if get else {})}
    asked, found = of_storage(replies)
    ((name, (severity, message, remedy)),) = found.items()
    assert name == "hub_storage_unreachable" and severity == "error" and len(asked) == len(replies) - 1
    reason = (get or head).reason
    assert message.startswith("storage.example, to which the hub https://hub.example redirects") and reason in message
    assert "allow this host to reach storage.example" in remedy and "secret" not in message + remedy
    assert "token" not in message + remedy


@pytest.mark.parametrize(
    "replies",
    [
        {f"HEAD {WEIGHTS}": OK},
        {f"HEAD {WEIGHTS}": to(STORED), f"HEAD {STORED}": OK},
        # The URL is only signed for GET.
        {f"HEAD {WEIGHTS}": to(STORED), f"HEAD {STORED}": Reply(403), f"GET {STORED}": OK},
        # The model was renamed.
        {
            f"HEAD {WEIGHTS}": to("/new/name.safetensors"),
            "HEAD https://hub.example/new/name.safetensors": to(STORED),
            f"HEAD {STORED}": to("//other.example/y"),
            "HEAD https://other.example/y": OK,
        },
        {f"HEAD {WEIGHTS}": to(WEIGHTS)},
    ],
)
def test_storage_that_responds_is_no_finding(replies: dict[str, Reply]) -> None:
    asked, found = of_storage(replies)
    assert found == {} and not [url for url in asked if "hub.example" in url]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"siblings": [1]}', b'{"siblings": null}', b"[" * 100_000])
def test_a_description_without_weights_is_no_finding(body: bytes) -> None:
    assert of_storage({f"GET {INFO}": Reply(200, body=body)}) == ([], {})


@pytest.mark.parametrize("status", [401, 403])
def test_a_page_of_a_proxy_is_not_blamed_on_the_token(status: int) -> None:
    page = Reply(status, {"content-type": "text/html; charset=utf-8"})
    for found in (of_hub(page), of_hub(OK, page, token=True)):
        ((name, (_severity, _message, remedy)),) = found.items()
        assert name == "hub_unreachable" and "proxy" in remedy and "token" not in remedy


def of_registry(reply: Reply) -> dict[str, tuple[str, str, str]]:
    checks = [check for check in _network.CHECKS if check.need == "registry"]
    findings = {check.id: list(check.find("registry.example", Network(registry=reply))) for check in checks}
    return {name: only(entries) for name, entries in findings.items() if entries}


@pytest.mark.parametrize(("status", "fine"), [(200, True), (401, True), (404, False), (502, False)])
def test_answers_of_a_registry(status: int, fine: bool) -> None:
    assert list(of_registry(Reply(status))) == ([] if fine else ["registry_unreachable"])


def test_registry_without_an_answer_is_an_error() -> None:
    assert "Connection refused" in of_registry(SILENT)["registry_unreachable"][1]


def test_a_registry_with_an_untrusted_certificate_is_found() -> None:
    """Docker may trust it, or may do so before it pulls the image."""
    words = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate"
    ((name, (severity, _message, remedy)),) = of_registry(Reply(0, failure=words)).items()
    assert (name, severity) == ("registry_certificate", "warning")
    assert "docker_registry_ca_files" in remedy and "O(ca_bundle)" in remedy


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("registry.example:5000", "https://registry.example:5000/v2/"),
        ("http://registry.example", "http://registry.example/v2/"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000/v2/"),
        ("localhost", "http://localhost/v2/"),
        ("localhost.example", "https://localhost.example/v2/"),
    ],
)
def test_a_registry_on_the_host_itself_has_no_certificate(address: str, url: str) -> None:
    asked, fetch = answers(OK)
    ask_registry(address, fetch)
    assert asked == [f"GET {url}"]


SOURCE = Source("https://packages.example/", "packages")


@pytest.mark.parametrize(("status", "fine"), [(200, True), (403, True), (404, True), (407, False), (503, False)])
def test_any_answer_except_the_proxys_shows_that_a_source_is_reachable(status: int, fine: bool) -> None:
    found = list(_network.unreachable([SOURCE], Network(sources={SOURCE: Reply(status)})))
    assert (found == []) is fine


def test_an_unreachable_source_is_found() -> None:
    severity, message, remedy = only(_network.unreachable([SOURCE], Network(sources={SOURCE: SILENT})))
    assert message == "https://packages.example/ (packages) does not respond: Connection refused"
    assert severity == "error" and "O(reach)" in remedy and "proxy" in remedy
