# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page is complete, well-formed and harmless, whatever results contain; results are only taken over by name."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._run_report import (
    COLLECTION,
    IGNORED,
    LONGEST,
    RunReport,
    Task,
    page,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import host, host_plan

HOSTILE = "<script>alert(1)</script>\"'&"
VOID = {"meta", "br"}


class Page(HTMLParser):
    """The tags, attributes and text of a page whose tags must be balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def report() -> RunReport:
    return RunReport("site.yml", "2026-11-28 16:00:00", {"Ansible": "2.19.0"})


def ended(action: str = "ansible.builtin.command", start: float = 0, end: float = 1, **options: Any) -> Task:
    return Task(**{"name": "Do it", "stage": "docker", "action": action, "start": start, "end": end, **options})


def module(name: str, **options: Any) -> Task:
    return ended(f"{COLLECTION}{name}", **options)


def planned(**options: Any) -> dict[str, Any]:
    return {"hosts": {"one": host_plan(host(), model="mixtral-8x7b-instruct", **options)}}


ANSWER = {"text": "It is.", "tokens": 3, "counted_by": "events", "latency_seconds": 0.5, "tokens_per_second": 6.0}


def test_consecutive_tasks_of_a_role_are_a_stage() -> None:
    made = report()
    made.add("one", ended(end=2), {})
    made.add("one", ended(start=2, end=5), {"changed": True})
    made.add("one", ended(start=6, end=9, stage="model_weights"), {})
    made.add("one", ended(start=9, end=10), {})
    stages = made.finish(10, [])["hosts"]["one"]["stages"]
    assert [(stage["name"], stage["start"], stage["end"], stage["changed"]) for stage in stages] == [
        ("docker", 0, 5, 1),
        ("model_weights", 6, 9, 0),
        ("docker", 9, 10, 0),
    ]


def test_only_a_failure_that_counts_fails_the_stage() -> None:
    made = report()
    made.add("one", ended(kept=IGNORED), {"msg": "harmless"}, failed=True)
    made.add("two", ended(), {"msg": "bad", "stdout": "s3cret"}, failed=True)
    found = made.finish(1, ["two"])
    one, two = found["hosts"]["one"], found["hosts"]["two"]
    assert (one["outcome"], one["stages"][0]["failed"]) == ("succeeded", False)
    assert (two["outcome"], two["stages"][0]["failed"]) == ("failed", True)
    assert two["failures"] == [{"task": "Do it", "message": "bad", "status": "failed"}]
    words = Page(page(found)).words
    assert "failed on two" in words and "Ignored: Do it" in words and "s3cret" not in words


def test_the_page_has_the_plan_the_proof_and_what_ran() -> None:
    made = report()
    made.add("one", module("trtllm_plan"), planned(price_per_hour=30))
    made.add("one", module("trtllm_image"), {"image": "nvcr.io/x@sha256:1"})
    made.add("one", module("triton_health"), {"ready": True, "server": {"name": "triton", "version": "2.51.0"}})
    streamed = {"streamed": {"first_token_seconds": 0.25}, "response": HOSTILE}
    made.add("one", module("triton_generate"), {**ANSWER, **streamed})
    found = made.finish(60, [])
    words = Page(page(found)).words
    assert found["hosts"]["one"]["plans"]["default"]["release_id"] in words
    for text in ("It is.", "after 0.25 s", "nvcr.io/x@sha256:1", "triton 2.51.0", "per million tokens", "93.4 GB"):
        assert text in words
    assert "alert" not in words
    assert json.loads(json.dumps(found)) == found


def test_the_report_has_the_image_of_a_host_that_has_everything() -> None:
    made = report()
    made.add("one", module("artifact_info"), {"image": "there", "missing": {}})
    made.add("two", module("artifact_info"), {"image": "recorded", "missing": {"image/1": "Docker does not have it"}})
    hosts = made.finish(60, [])["hosts"]
    assert (hosts["one"]["images"], hosts["two"]["images"]) == (["there"], [])


def test_a_refused_plan_and_hosts_without_one_have_a_report() -> None:
    made = report()
    made.add("one", module("trtllm_plan"), planned(precision="int3"))
    made.add("two", ended(), {})
    found = made.finish(1, ["three"])
    assert found["hosts"]["one"]["plans"] == found["hosts"]["two"]["plans"] == {}
    assert "three: failed" in Page(page(found)).words


def test_whatever_is_in_results_is_text() -> None:
    made = report()
    made.playbook = HOSTILE
    hostile = ended(name=HOSTILE, stage=HOSTILE)
    made.add(HOSTILE, hostile, {"msg": HOSTILE, "warnings": [HOSTILE], "changed": True}, failed=True)
    made.add(HOSTILE, module("triton_generate"), {**ANSWER, "text": HOSTILE, "counted_by": HOSTILE})
    made.add(HOSTILE, module("trtllm_image"), {"image": HOSTILE})
    shown = Page(page(made.finish(1, [])))
    assert "script" not in shown.tags
    assert shown.words.count(HOSTILE) >= 8


def test_nothing_is_loaded_and_nothing_refers_to_the_network() -> None:
    made = report()
    made.add("one", module("trtllm_plan"), planned())
    text = page(made.finish(1, []))
    shown = Page(text)
    assert not {"src", "href", "srcset", "action"} & set(shown.attributes)
    assert not {"script", "link", "img", "iframe"} & set(shown.tags)
    assert "@import" not in text and "url(" not in text


@pytest.mark.parametrize("field", ["msg", "censored"])
def test_messages_lose_logins_and_are_shortened(field: str) -> None:
    made = report()
    made.add("one", ended(), {field: "https://me:s3cret@host/ " + "x" * 5000}, failed=True)
    message = made.finish(1, ["one"])["hosts"]["one"]["failures"][0]["message"]
    assert "s3cret" not in message and message.startswith("https://host/ ") and len(message) == LONGEST + 1


def test_warnings_are_listed_once() -> None:
    made = report()
    for _number in range(2):
        made.add("one", ended(), {"warnings": ["old", "old"]})
    assert made.finish(1, [])["hosts"]["one"]["warnings"] == ["old"]
