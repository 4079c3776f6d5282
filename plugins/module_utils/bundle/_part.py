# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What the modules that make a part of a bundle have in common."""

from __future__ import annotations

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    ArtifactError,
    Draft,
    difference,
    ensure,
    read_artifact,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import BundleError

Artifact = t.Mapping[str, t.Any]


def runner(module: AnsibleModule) -> t.Callable[..., str]:
    """Runs a command of the machine; what it prints, or a BundleError with its own words."""

    def run(command: list[str], failure: str, cwd: str | None = None) -> str:
        code, printed, said = module.run_command(command, cwd=cwd, environ_update={"LC_ALL": "C"})
        if code:
            words = " ".join((said or printed).split())[-2000:]
            raise BundleError(f"{failure}: {os.path.basename(command[0])} says: {words or f'exit code {code}'}")
        return str(printed)

    return run


def have_part(
    module: AnsibleModule,
    inputs: dict[str, t.Any],
    make: t.Callable[[Draft], dict[str, t.Any]],
    tell: t.Callable[[Artifact], dict[str, t.Any]] = lambda _artifact: {},
) -> None:
    """Have the artifact `dest`, and end the module. `tell` says what is in it; it sees none where none is there yet."""
    dest = module.params["dest"]
    before = read_artifact(dest)
    try:
        outcome = ensure(dest, inputs, make, check_mode=module.check_mode)
    except ArtifactError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"cannot make {dest}: {exc}")
    is_predicted = outcome.changed and module.check_mode
    module.exit_json(
        changed=outcome.changed,
        reason=outcome.sentence,
        diff=difference(before, dest, inputs, outcome.reason),
        **tell({} if is_predicted else outcome.artifact or {}),
    )
