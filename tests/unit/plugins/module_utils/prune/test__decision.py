# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release of a real plan needs, by its record and those of its artifacts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import Login
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._image import image_request
from ansible_collections.tritonops.trtllm.plugins.module_utils.prune._decision import Entry, FileUse, freed_by, unused
from ansible_collections.tritonops.trtllm.plugins.module_utils.prune._docker import Image, cache_bytes, freed, images_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._served import Links
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import DIGEST, IMAGE, accepted

ARCHIVE = {"source": "archive", "archive": "/srv/backend.tar", "digest": DIGEST}


def entries_of(plan: dict[str, Any]) -> list[Entry]:
    """The release and the artifacts of a plan, with the records that the modules would write."""
    release = (plan.get("model_repo") or plan["serve_service"])["release"]
    keys = {kind: part["key"] for kind, part in plan["artifacts"].items()}
    sources = {"checkpoint": keys["weights"], "engine": keys.get("checkpoint", "")}
    made = [
        Entry(f"{kind}/{key}", frozenset([key]), json.dumps({"source": sources.get(kind, "")}))
        for kind, key in keys.items()
        if kind not in ("tokenizer", "image")
    ]
    image = Entry(f"image/{keys['image']}", frozenset([keys["image"], image_of(plan)]))
    path = f"deployments/default/releases/{plan['release_id']}"
    return [*made, image, Entry(path, frozenset([plan["release_id"]]), json.dumps(release["manifest"]))]


def image_of(plan: dict[str, Any]) -> str:
    """What the record of the image says that was asked for."""
    wanted = plan["trtllm_backend"]["image"]
    if wanted["source"] == "build":
        return str(wanted["name"])
    names = ("reference", "digest", "source", "dest", "archive", "tag_moved")
    return image_request(**{name: wanted[name] for name in names}, login=Login(), check_mode=False).asked


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"image": IMAGE},
        {"image": ARCHIVE},
        {"image": {"source": "build"}},
        {"profile": "llmapi"},
        {"profile": "serve"},
        {"tokenizer": {"repository": "me/tokenizer", "revision": "0" * 40}},
    ],
    ids=["tag", "digest", "archive", "build", "llmapi", "serve", "tokenizer"],
)
def test_the_record_of_a_release_names_everything_that_it_was_made_from(request_: dict[str, Any]) -> None:
    entries = entries_of(accepted(**request_))
    (release,) = [entry for entry in entries if entry.what == "release"]
    assert unused(entries, {"default": Links(release.name, "")}, keep=0) == {}
    assert unused(entries, {}, keep=0).keys() == {entry.path for entry in entries}
    # So does the plan, before there is a release.
    plan = json.dumps(accepted(**request_))
    assert unused([entry for entry in entries if entry is not release], {}, wanted=plan) == {}


def test_only_the_folder_that_a_run_would_continue_is_kept() -> None:
    engine = Entry("engine/0123456789abcdef", frozenset(["0123456789abcdef"]), "")
    partial = engine._replace(path=f"{engine.path}.partial")
    assert unused([partial], {}, wanted=engine.path) == {}
    assert unused([partial, engine], {}, wanted=engine.path) == {partial.path: "an interrupted run left it"}
    assert unused([partial], {}) == {partial.path: "an interrupted run left it"}


def test_a_file_is_freed_with_its_last_link() -> None:
    shared, own = FileUse((1, 1), 3, 100), FileUse((1, 2), 1, 10)
    assert freed_by({"a": [shared, own], "b": [shared]}) == {"a": 10, "b": 0}
    assert freed_by({"a": [shared, own], "b": [shared, shared]}) == {"a": 10, "b": 100}
    # Another file system has other files.
    assert freed_by({"a": [shared._replace(links=1), shared._replace(id=(2, 1), links=1)]}) == {"a": 200}


@pytest.mark.parametrize(
    ("names", "removed", "bytes_"),
    [
        (["a/b:1"], ["a/b:1"], 7),
        (["a/b:1", "a/b@sha256:0"], ["a/b:1"], 7),
        (["localhost:5000/b@sha256:0"], ["localhost:5000/b@sha256:0"], 7),
        (["a/b:1", "a/b@sha256:0"], ["a/b@sha256:0"], 0),
        (["a/b:1", "mine:1"], ["a/b:1"], 0),
        (["a/b:1", "c@sha256:0"], ["a/b:1"], 0),
        ([], ["sha256:1"], 7),
        (["a/b:1"], ["sha256:1"], 7),
    ],
)
def test_an_image_is_freed_with_its_last_name(names: list[str], removed: list[str], bytes_: int) -> None:
    assert freed(Image(7, frozenset(names)), removed) == bytes_
    assert freed(None, removed) == 0


def test_what_docker_does_not_know_counts_as_nothing() -> None:
    usage = {"Images": [{"Id": "sha256:1", "Size": 50, "SharedSize": -1, "RepoTags": ["<none>:<none>"]}]}
    assert images_of(usage, [{"Id": "0" * 64, "ImageID": "sha256:1"}]) == {
        "sha256:1": Image(50, frozenset(), ("000000000000",))
    }
    assert images_of({"Images": None}, []) == {} and cache_bytes({"BuildCache": None}) == 0
