# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Commands with a timeout: a single faulty GPU can make its tools hang."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# Exit codes of coreutils' timeout after SIGTERM and after SIGKILL.
TIMED_OUT = (124, 137)


class CommandFailed(ModuleFailure):
    """The command failed or timed out; its text is the output."""


def run_with_timeout(module: AnsibleModule, command: t.Sequence[str], timeout: int) -> str:
    """The stdout of the command; CommandFailed if it fails or runs longer than `timeout` seconds."""
    code, out, err = module.run_command(["timeout", "--kill-after=5", str(timeout), *command])
    if code in TIMED_OUT:
        raise CommandFailed(f"{' '.join(command)} did not finish within {timeout} s")
    if code:
        words = f"{out.strip()}\n{err.strip()}".strip()
        raise CommandFailed(words or f"{' '.join(command)} failed with exit code {code}")
    return out


def output_or_none(module: AnsibleModule, timeout: int, program: str, *arguments: str) -> str | None:
    """The stdout of a program; None if it is not installed, fails or times out."""
    path = module.get_bin_path(program)
    try:
        return run_with_timeout(module, [path, *arguments], timeout) if path else None
    except CommandFailed:
        return None
