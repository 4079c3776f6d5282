# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A step that runs one of TensorRT-LLM's tools in a container of the backend image, such as building an engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import traceback
import typing as t
from dataclasses import dataclass

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils._deadline import check_timeout
from ansible_collections.tritonops.trtllm.plugins.module_utils._secrets import refuse_secrets
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    ArtifactError,
    Draft,
    artifact_key,
    check_space,
    source_key,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import bytes_in, sampled
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._step import (
    STEP_ARGUMENTS,
    ArtifactStep,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import check_tree
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import (
    KILLED,
    ULIMITS,
    Docker,
    Tool,
    ToolFailed,
    load_sdk,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._log_patterns import (
    LOG_PATTERNS_ARGUMENT,
    failure_text,
    log_patterns_of,
    log_tail,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import memory_for_containers, memory_total

TOOL_LOG = "tool.log"
MEMORY_REMEDY = (
    "the host ran out of memory, or someone killed the tool: lower --workers (each holds a copy of the model), add"
    " memory or swap, or stop other processes"
)
TIMEOUT_REMEDY = (
    "if its log shows that it was still working, increase timeout (engine_build_timeout); otherwise it hangs: look at"
    " the GPUs (nvidia-smi, journalctl -k) and run again"
)

TOOL_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **STEP_ARGUMENTS,
    **LOG_PATTERNS_ARGUMENT,
    "image_digest": {"type": "str"},
    "world_size": {"type": "int", "default": 1},
    "gpus": {"type": "list", "elements": "str", "default": []},
    "shm_size": {"type": "str", "default": "2g"},
    "ulimits": {"type": "list", "elements": "str", "default": list(ULIMITS)},
    "env": {"type": "dict", "default": {}},
    "user": {"type": "str"},
    "expected_bytes": {"type": "int"},
    "timeout": {"type": "int", "default": 21600},
    "docker_host": {"type": "str"},
}


@dataclass(frozen=True)
class ToolSpec:
    """What differs between the steps."""

    name: str
    phase: str
    # Raises ArtifactError unless the folder contains the tool's complete output for this many ranks.
    check: t.Callable[[str, int], None]
    # Options that are inputs of this step only.
    inputs: t.Sequence[str] = ()
    # Options with more folders to mount read-only, and where in the container.
    mounts: t.Mapping[str, str] | None = None
    # Message and traceback if a Python package that check() needs is missing.
    missing: tuple[str, str] | None = None


class ToolStep(ArtifactStep):
    """One run of a tool that makes an artifact."""

    def __init__(self, spec: ToolSpec, module: AnsibleModule) -> None:
        refuse_secrets(module, "env", module.params["env"], "a container's environment")
        check_timeout(module.params["timeout"])
        self._spec = spec
        self._log_patterns = log_patterns_of(module)
        super().__init__(module, module.params["command"], module.params["world_size"])

    def inputs(self) -> dict[str, t.Any]:
        params = self._params
        inputs = {
            "source": source_key(params["src"], may_be_absent=self._module.check_mode),
            "image": params["image_digest"] or params["image"],
            "command": params["command"],
            "release": params["release"],
        }
        optional = {name: params[name] for name in ("env", *self._spec.inputs) if params[name]}
        return {**inputs, **optional}

    def sources(self) -> dict[str, str]:
        further = {option: self._params[option] for option in self._spec.mounts or {} if self._params[option]}
        return {**super().sources(), **further}

    def make(self, draft: Draft) -> dict[str, t.Any]:
        params = self._params
        self._check_source()
        tool = self._tool(draft)
        docker = Docker(self._sdk(), params["docker_host"])
        # Before the folder is emptied, because the container of a killed run may still write to it.
        docker.remove_container(tool.name)
        # Other containers of killed runs would keep the GPUs.
        docker.remove_orphans(os.path.dirname(os.path.dirname(tool.dest)))
        progress = draft.begin()
        if params["expected_bytes"]:
            check_space(draft.payload, params["expected_bytes"], f"the {self._spec.name}")
        if params["user"]:
            self._set_owner(draft.payload, params["user"])
        progress.start(self._spec.phase, total=params["expected_bytes"])
        log = draft.path(TOOL_LOG)
        with sampled(progress, lambda: bytes_in(draft.payload)):
            try:
                docker.run(tool, log)
            except ToolFailed as exc:
                raise self._failure(exc, log) from exc
        # The tool is not trusted: its output is neither read nor changed before this check.
        check_tree(draft.payload, f"the output of {self._command_name}", reserved=(TOOL_LOG,))
        self._check(draft.payload, log)
        self._check_inputs()
        shutil.copyfile(log, os.path.join(draft.payload, TOOL_LOG))
        record = {"command": params["command"], "image": params["image"], "release": params["release"]}
        return draft.publish(record, progress)

    def _sdk(self) -> t.Any:
        missing = self._spec.missing
        try:
            sdk = load_sdk()
        except ImportError:
            missing = missing_required_lib("docker"), traceback.format_exc()
        if missing:
            raise ArtifactError(missing[0], exception=missing[1])
        return sdk

    def _tool(self, draft: Draft) -> Tool:
        params = self._params
        further = {target: params[option] for option, target in (self._spec.mounts or {}).items() if params[option]}
        return Tool(
            name=f"trtllm-{self._spec.name}-{artifact_key(self._inputs)}",
            image=params["image"],
            command=params["command"],
            dest=os.path.realpath(self._dest),
            timeout=params["timeout"],
            # Docker may not resolve our symbolic links, so the real folders are mounted.
            read_only={target: os.path.realpath(path) for target, path in {"/src": params["src"], **further}.items()},
            writable={"/dest": os.path.realpath(draft.payload)},
            gpus=params["gpus"],
            shm_size=params["shm_size"],
            ulimits=params["ulimits"],
            environment={name: str(value) for name, value in params["env"].items()},
            user=params["user"],
            # If the memory is not enough, the kernel ends the tool, not another program of the host.
            memory=memory_for_containers(memory_total()),
        )

    def _set_owner(self, folder: str, user: str) -> None:
        match = re.fullmatch(r"(\d+)(?::(\d+))?", user)
        if not match:
            raise ArtifactError(f"user: {user!r} does not have the form uid or uid:gid, with numbers")
        os.chown(folder, int(match.group(1)), int(match.group(2) or -1))

    def _check(self, folder: str, log: str) -> None:
        try:
            self._spec.check(folder, self._params["world_size"])
        except ArtifactError as exc:
            what = f"{self._command_name} succeeded, but the {self._spec.name} is not complete: {exc}"
            raise self._step_error(what, log) from exc

    @property
    def _command_name(self) -> str:
        command = self._params["command"]
        script = command[1] if len(command) > 1 and command[0].startswith("python") else command[0]
        return os.path.basename(script)

    def _failure(self, exc: ToolFailed, log: str) -> ArtifactError:
        if exc.timed_out:
            what = f"{self._command_name} did not end within {self._params['timeout']} seconds and was stopped"
            return self._step_error(f"{what}. Remedy: {TIMEOUT_REMEDY}", log, exc.exit_code)
        what = f"{self._command_name} failed with exit code {exc.exit_code}"
        if exc.exit_code == KILLED:
            by = "the kernel's out-of-memory killer" if exc.out_of_memory else "signal 9"
            return self._step_error(f"{what}, killed by {by}. Remedy: {MEMORY_REMEDY}", log, exc.exit_code)
        return self._step_error(what, log, exc.exit_code)

    def _step_error(self, what: str, log: str, exit_code: int = 0) -> ArtifactError:
        return ArtifactError(
            failure_text(what, log_tail(log), log, self._log_patterns),
            rc=exit_code,
            command=self._params["command"],
            tool_log=log,
        )


def read_config(folder: str) -> dict[str, t.Any]:
    """The config.json that a tool must have written."""
    try:
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as stream:
            config = json.load(stream)
    except FileNotFoundError as exc:
        raise ArtifactError("config.json is missing") from exc
    except (ValueError, RecursionError) as exc:
        raise ArtifactError(f"config.json is not JSON: {exc}") from exc
    if not isinstance(config, dict):
        raise ArtifactError("config.json is not a JSON object")
    return config


def check_ranks(folder: str, suffix: str, world_size: int) -> list[str]:
    """The paths of rank0…rank<N-1>; ArtifactError unless these, and no others, are present and complete."""
    wanted = [f"rank{rank}{suffix}" for rank in range(world_size)]
    there = sorted(name for name in os.listdir(folder) if name.startswith("rank") and name.endswith(suffix))
    problems = [f"{name} is missing" for name in wanted if name not in there]
    problems += [f"{name} is not expected with world_size {world_size}" for name in there if name not in wanted]
    problems += [f"{name} is not a file" for name in there if not os.path.isfile(os.path.join(folder, name))]
    problems += [f"{name} is empty" for name in there if not os.path.getsize(os.path.join(folder, name))]
    if problems:
        raise ArtifactError(", ".join(problems))
    return [os.path.join(folder, name) for name in wanted]


def check_world_size(mapping: t.Any, world_size: int) -> None:
    found = mapping.get("world_size", world_size) if isinstance(mapping, dict) else None
    if found != world_size:
        raise ArtifactError(f"config.json has world_size {found} instead of {world_size}")
