# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the container of trtllm-serve gets besides that of Triton."""

from __future__ import annotations

import importlib
import shlex
import sys
from typing import Any

import pytest
from ansible.template import trust_as_template
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import PROJECT, ROLES, Role, load
from ansible_collections.tritonops.trtllm.tests.unit.support.serve_process import needs_server


def docker_run(**container: Any) -> list[str]:
    """The arguments of the command that starts the container."""
    given = {"image": "sha256:1", "command": ["trtllm-serve", "/release/models/chat"], **container}
    serve = Role(
        "serve_service",
        "debian-12",
        serve_service_root="/opt/trtllm",
        serve_service_release_dir="/opt/trtllm/one",
        serve_service_container=given,
    )
    task = next(
        task for task in load(ROLES / "serve_service/tasks/serve.yml") if "vars" in task and "import_role" in str(task)
    )
    options = {name: serve.render(value) for name, value in task["vars"].items()}
    role = Role(
        "release_service",
        "debian-12",
        ansible_managed="managed",
        **options,
    )
    script = role.render(trust_as_template((role.folder / "templates/run.j2").read_text(encoding="utf-8")))
    return shlex.split(script.replace("\\\n", " "), comments=True)


def volumes(words: list[str]) -> list[str]:
    return [words[index + 1] for index, word in enumerate(words) if word == "--volume"]


def environment(words: list[str]) -> dict[str, str]:
    """As Docker reads it: the last one of a name counts."""
    return dict(words[index + 1].split("=", 1) for index, word in enumerate(words) if word == "--env")


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The start of the rehearsal's server, which checks its container."""
    monkeypatch.setattr(sys, "path", [str(PROJECT / "rehearsal/backend"), *sys.path])
    return importlib.import_module("tensorrt_llm.serve.start")


@needs_server
def test_every_cache_is_in_the_writable_folder(start: Any) -> None:
    words = docker_run()
    given = environment(words)
    assert all(given[name].startswith("/tmp/") for name in start.CACHES) and given["HOME"] == "/tmp"
    assert words[words.index("--tmpfs") + 1] == "/tmp:exec" and words.count("--tmpfs") == 1
    assert volumes(words) == ["/opt/trtllm/one:/release:ro"]


@needs_server
def test_compiled_kernels_are_kept_in_a_folder_of_the_host(start: Any) -> None:
    words = docker_run(cache="/opt/trtllm/kernels")
    given = environment(words)
    assert all(given[name].startswith("/cache") for name in start.CACHES)
    assert volumes(words) == ["/opt/trtllm/one:/release:ro", "/opt/trtllm/kernels:/cache"]
    install = words.index("install")
    assert words[install + 1 : words.index("exec")] == shlex.split(
        "--directory --mode 0700 --owner @UID@ --group @GID@ /opt/trtllm/kernels"
    )


@needs_server
def test_nothing_is_reported_stored_or_downloaded(start: Any) -> None:
    given = environment(docker_run(environment={"TRTLLM_NO_USAGE_STATS": "", "HF_HUB_OFFLINE": "0", "EXTRA": "a b"}))
    assert all(given[name] for name in start.NO_USAGE)
    assert given["TRTLLM_RESPONSES_API_DISABLE_STORE"] and given["HF_HUB_OFFLINE"] == "1" and given["EXTRA"] == "a b"
    assert len(given["PMIX_HOSTNAME"]) < 16 and given["USER"] == given["LOGNAME"] == "trtllm"


def test_the_container_is_as_strict_as_that_of_triton() -> None:
    words = docker_run()
    assert {"--init", "--read-only"} <= set(words) and "--entrypoint" not in words and "--privileged" not in words
    for option, value in {"--cap-drop": "ALL", "--user": "@UID@:@GID@", "--publish": "127.0.0.1:8000:8000"}.items():
        assert words[words.index(option) + 1] == value
    assert words[-3:] == ["sha256:1", "trtllm-serve", "/release/models/chat"]
