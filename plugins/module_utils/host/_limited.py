# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Commands that only look, and get a time limit for it: one GPU in trouble can make its tools hang."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# What coreutils' timeout ends with: by the first signal, and by the second.
TIMED_OUT = (124, 137)


class CommandFailed(ModuleFailure):
    """The command's own words."""


def run_limited(module: AnsibleModule, command: t.Sequence[str], timeout: int) -> str:
    """What the command prints."""
    code, out, err = module.run_command(["timeout", "--kill-after=5", str(timeout), *command])
    if code in TIMED_OUT:
        raise CommandFailed(f"{' '.join(command)} did not answer within {timeout} s")
    if code:
        words = f"{out.strip()}\n{err.strip()}".strip()
        raise CommandFailed(words or f"{' '.join(command)} ended with code {code}")
    return out


def answer_of(module: AnsibleModule, timeout: int, program: str, *arguments: str) -> str | None:
    """What a program says that may be absent, or fail; then None."""
    path = module.get_bin_path(program)
    try:
        return run_limited(module, [path, *arguments], timeout) if path else None
    except CommandFailed:
        return None
