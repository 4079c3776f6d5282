# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Commands with a timeout: a single faulty GPU can make its tools hang, and a dead file server every access to it."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# Exit codes of coreutils' timeout after SIGTERM and after SIGKILL.
TIMED_OUT = (124, 137)
# In seconds. File systems respond in milliseconds, but a server may have just been restarted.
STAT_TIMEOUT = 30


class CommandFailed(ModuleFailure):
    """The command failed or timed out; its text is the output."""


class CommandTimedOut(CommandFailed):
    """The command ran too long."""


def run_with_timeout(module: AnsibleModule, command: t.Sequence[str], timeout: int) -> str:
    """The stdout of the command; CommandFailed if it fails or runs longer than `timeout` seconds."""
    code, out, err = module.run_command(["timeout", "--kill-after=5", str(timeout), *command])
    if code in TIMED_OUT:
        raise CommandTimedOut(f"{' '.join(command)} did not finish within {timeout} s")
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


def hung_folder(module: AnsibleModule, path: str) -> str | None:
    """The first folder on the way to the path whose file system does not respond; None if there is none.

    Only another process can be given up: a call of ours would wait for the server, whatever signal we get.
    """
    stat, folder = module.get_bin_path("stat"), "/"
    for name in ["", *os.path.abspath(path).split("/")[1:]] if stat else []:
        folder = os.path.join(folder, name)
        try:
            run_with_timeout(module, [stat, "--file-system", folder], STAT_TIMEOUT)
        except CommandTimedOut:
            return folder
        except CommandFailed:
            # It does not exist, so nothing below it does.
            return None
    return None


def hung_message(folder: str) -> str:
    return f"the file system at {folder} did not respond within {STAT_TIMEOUT} s"


def hung_remedy(folder: str) -> str:
    return f"check its server and network, or unmount it (umount --force --lazy {folder})"


def check_responds(module: AnsibleModule, path: str) -> None:
    """Fail instead of waiting forever for a dead file server."""
    folder = hung_folder(module, path)
    if folder:
        raise ModuleFailure(f"{hung_message(folder)}, and {path} is there: {hung_remedy(folder)}")
