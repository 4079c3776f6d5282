# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start script of a release with GPUs, which the rehearsal does not have."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.template import trust_as_template
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._commands import ADMIN_KEY
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import Role


def start_script(header: str = "managed", **container: Any) -> str:
    role = Role(
        "triton_service",
        "debian-12",
        triton_service_root="/opt/trtllm",
        triton_service_name="chat",
        triton_service_release_dir="/opt/trtllm/deployments/chat/releases/one",
        triton_service_container={"image": "sha256:1", "command": ["mpirun", "a b"], **container},
        ansible_managed=header,
        __triton_service_ids={"uid": 997, "gid": 995},
    )
    script = (role.folder / "templates/run.j2").read_text(encoding="utf-8")
    rendered: str = role.render(trust_as_template(script))
    return rendered


def docker_run(header: str = "managed", **container: Any) -> list[str]:
    """The arguments of the command that starts the container."""
    return shlex.split(start_script(header, **container).replace("\\\n", " "), comments=True)


def test_the_key_of_closed_apis_is_a_new_one_at_each_start(tmp_path: Path) -> None:
    flag = "--http-restricted-api=trace,logging:admin-key="
    (tmp_path / "docker").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "docker").chmod(0o755)
    script = start_script(command=["tritonserver", f"{flag}{ADMIN_KEY}", "a b", "$HOME"])
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    starts = [
        subprocess.run(["sh", "-c", script], text=True, capture_output=True, check=True, env=environment).stdout
        for _start in range(2)
    ]
    keys = [re.findall(rf"^{flag}([0-9a-f]{{32}})$", start, re.MULTILINE) for start in starts]
    assert [len(found) for found in keys] == [1, 1] and keys[0] != keys[1]
    assert all(start.endswith("\na b\n$HOME\n") for start in starts)


@pytest.mark.parametrize(
    ("gpus", "given"),
    [([], None), (["all"], "all"), (["3"], '"device=3"'), (["0", "2"], '"device=0,2"')],
)
def test_the_container_gets_the_gpus_of_its_deployment(gpus: list[str], given: str | None) -> None:
    """Docker parses the value as CSV, so indexes with a comma need additional quotes."""
    words = docker_run(gpus=gpus)
    assert (words[words.index("--gpus") + 1] if "--gpus" in words else None) == given


def test_the_container_has_limits_and_a_user_name() -> None:
    words = docker_run(memory=4096)
    assert words[words.index("--pids-limit") + 1] == "32768" and words[words.index("--log-driver") + 1] == "none"
    assert words[words.index("--memory") + 1] == words[words.index("--memory-swap") + 1] == "4096"
    assert "USER=trtllm" in words and "OMPI_MCA_btl_vader_single_copy_mechanism=none" in words
    assert "--memory" not in docker_run()


def test_the_header_of_a_template_stays_a_comment() -> None:
    assert "owner:" not in docker_run(header="managed\nowner: sre")


def test_the_container_is_named_after_its_deployment() -> None:
    words = docker_run(ulimits=["memlock=-1"])
    assert words[words.index("--name") + 1] == words[words.index("--network") + 1] == "trtllm-chat"
    assert words[words.index("--user") + 1] == "997:995" and words[words.index("--ulimit") + 1] == "memlock=-1"
    assert words[-3:] == ["sha256:1", "mpirun", "a b"]
