# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Runs the programs that bundles are made and verified with."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import BundleError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

LONGEST = 2000
# run(command, failure, cwd=None) returns what the command prints, or raises BundleError with `failure` and its output.
Run = t.Callable[..., str]


def runner(module: AnsibleModule) -> Run:
    def run(command: list[str], failure: str, cwd: str | None = None) -> str:
        code, out, err = module.run_command(command, cwd=cwd, environ_update={"LC_ALL": "C"})
        if code:
            words = " ".join((err or out).split())[-LONGEST:]
            raise BundleError(f"{failure}: {os.path.basename(command[0])}: {words or f'exit code {code}'}")
        return str(out)

    return run
