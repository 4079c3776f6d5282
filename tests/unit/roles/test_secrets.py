# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets reach hosts by standard input, whatever ansible.cfg says, and are removed when a play ends or fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT

SECRET = re.compile(r'"(\w+)": \{[^{}]*"no_log": True')


def secret_options() -> dict[str, set[str]]:
    """The options of each module that are secrets."""
    modules = (PROJECT / "plugins/modules").glob("*.py")
    found = {path.stem: set(SECRET.findall(path.read_text())) for path in modules}
    return {name: options for name, options in found.items() if options}


def tasks(entries: Any, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for entry in entries or ():
        if isinstance(entry, dict):
            yield path, entry
            for part in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always"):
                yield from tasks(entry.get(part), path)


def all_tasks() -> list[tuple[Path, dict[str, Any]]]:
    paths = [*PROJECT.glob("roles/*/tasks/*.yml"), *PROJECT.glob("playbooks/**/*.yml")]
    return [found for path in paths for found in tasks(yaml.safe_load(path.read_text()), path)]


def with_secrets() -> list[tuple[str, dict[str, Any]]]:
    known = {f"tritonops.trtllm.{name}": options for name, options in secret_options().items()}
    return [
        (str(path.relative_to(PROJECT)), task)
        for path, task in all_tasks()
        for module, options in known.items()
        if options & set(task.get(module) or ())
    ]


def test_tasks_with_secrets_are_found() -> None:
    assert {name for name, _task in with_secrets()} >= {
        "playbooks/bundle.yml",
        "roles/model_weights/tasks/snapshots.yml",
        "roles/preflight/tasks/main.yml",
        "roles/trtllm_backend/tasks/image.yml",
    }


@pytest.mark.parametrize(("name", "task"), with_secrets())
def test_a_task_with_a_secret_uses_pipelining(name: str, task: dict[str, Any]) -> None:
    """Otherwise Ansible writes the module, with its options, to a file on the host."""
    assert task["vars"]["ansible_pipelining"] is True, f"{name}: {task['name']}"


def test_the_hubs_token_is_read_on_the_control_node() -> None:
    """Its file is not on the machine that downloads, and may be encrypted."""
    downloads = [
        task["tritonops.trtllm.hf_snapshot"] for _path, task in all_tasks() if "hf_snapshot" in str(list(task))
    ]
    assert len(downloads) >= 2 and all("token_file" not in options for options in downloads)


@pytest.mark.parametrize("pipelining", [False, True])
def test_with_this_variable_the_module_is_not_in_a_file(pipelining: bool, tmp_path: Path) -> None:
    task = {
        "ansible.builtin.command": {"argv": ["find", str(tmp_path), "-name", "AnsiballZ_*"]},
        "vars": {"ansible_pipelining": True} if pipelining else {},
        "register": "found",
    }
    result = {"ansible.builtin.copy": {"content": "{{ found.stdout }}", "dest": str(tmp_path / "result")}}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task, result]}
    (tmp_path / "play.json").write_text(json.dumps([play]))
    environment = {**os.environ, "ANSIBLE_PIPELINING": "false", "ANSIBLE_REMOTE_TEMP": str(tmp_path / "temporary")}
    program = Path(sys.executable).with_name("ansible-playbook")
    interpreter = ["-e", f"ansible_python_interpreter={sys.executable}"]
    command = [str(program), str(tmp_path / "play.json"), *interpreter]
    subprocess.run(command, check=True, capture_output=True, env=environment, cwd=tmp_path)
    assert ("AnsiballZ_" in (tmp_path / "result").read_text()) != pipelining


@pytest.mark.parametrize(
    "path",
    [
        *(f"roles/deployment/tasks/{name}.yml" for name in ("main", "gateway", "preflight")),
        "playbooks/convert.yml",
    ],
)
def test_the_proxy_is_removed_even_if_the_play_fails(path: str) -> None:
    entries = [task for _path, task in tasks(yaml.safe_load((PROJECT / path).read_text()), PROJECT / path)]
    always = [task for entry in entries for task in entry.get("always", ())]
    roles = [task.get("ansible.builtin.include_role") or task.get("ansible.builtin.import_role") for task in always]
    assert {"name": "tritonops.trtllm.egress", "tasks_from": "remove"} in [
        {key: role[key] for key in ("name", "tasks_from")} for role in roles if role
    ]
