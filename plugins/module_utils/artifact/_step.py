# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Steps that create an artifact from another folder, such as converting and building."""

from __future__ import annotations

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    ArtifactError,
    Draft,
    canonical,
    difference,
    ensure,
    read_artifact,
)

STEP_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "src": {"type": "path", "required": True},
    "dest": {"type": "path", "required": True},
    "release": {"type": "str", "required": True},
    "verify": {"type": "bool", "default": False},
}


class ArtifactStep:
    """Creates the artifact `dest`. `command` is the command that does it; empty if there is none."""

    def __init__(self, module: AnsibleModule, command: list[str], world_size: int) -> None:
        self._module = module
        self._params = module.params
        self._dest: str = module.params["dest"]
        self._command = command
        self._world_size = world_size
        self._inputs: dict[str, t.Any] = canonical(self.inputs())

    def inputs(self) -> dict[str, t.Any]:
        """The inputs that identify the artifact."""
        raise NotImplementedError

    def sources(self) -> dict[str, str]:
        """The source folders, by option."""
        return {"src": self._params["src"]}

    def make(self, draft: Draft) -> dict[str, t.Any]:
        """Write the files of the draft and publish it."""
        raise NotImplementedError

    def foresee(self) -> None:
        """In check mode, raise what make() would raise before it changes anything."""

    def extra_results(self, artifact: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Results that only this kind of step has."""
        return {}

    def result(self) -> dict[str, t.Any]:
        before = read_artifact(self._dest)
        outcome = ensure(
            self._dest, self._inputs, self.make, self._params["verify"], self._module.check_mode, self.sources()
        )
        was_made = outcome.changed and not self._module.check_mode
        if outcome.changed and not was_made:
            self.foresee()
        # In check mode, an older artifact says nothing about the one that would be created.
        artifact = (outcome.artifact if was_made or not outcome.changed else None) or {}
        return {
            "changed": outcome.changed,
            "reason": outcome.sentence,
            "path": self._dest,
            "command": self._command,
            "duration": artifact.get("duration_seconds") if was_made else None,
            "world_size": self._world_size,
            "total_size": sum(entry["size"] for entry in artifact.get("files", {}).values()),
            "diff": difference(before, self._dest, self._inputs, outcome.reason),
            **self.extra_results(artifact),
        }

    def _check_source(self) -> None:
        src = self._params["src"]
        if not os.path.isdir(src):
            raise ArtifactError(f"the source {src} no longer exists: create it again first")

    def _check_inputs(self) -> None:
        """Before the artifact is published: it must not get the key of a source that it was not made from."""
        if canonical(self.inputs()) != self._inputs:
            raise ArtifactError(
                f"the source {self._params['src']} changed meanwhile: wait until nothing writes to it, and run again"
            )


def run_step(module: AnsibleModule, make_step: t.Callable[[], ArtifactStep]) -> None:
    """Run the step of a module, and end the module."""
    run_module(module, lambda _module: make_step().result(), f"cannot create {module.params['dest']}")
