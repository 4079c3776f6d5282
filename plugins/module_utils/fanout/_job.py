# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The end of a task that Ansible runs in the background of a host."""

from __future__ import annotations

import json
import os
import time
import typing as t
from contextlib import suppress

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import is_locked

INTERVAL = 0.5
# Until a job has started on a busy host, and until its result is written.
GRACE_FOR_START, GRACE_FOR_RESULT = 300.0, 60.0
SHOWN = 2000
FIELDS = ("changed", "method", "received", "sent", "damaged", "seconds")


def outcome(results_file: str, dest: str, timeout: float) -> dict[str, t.Any]:
    """The result of the transfer; ModuleFailure if it failed or does not end."""
    started = alive = time.monotonic()
    lock, grace = f"{os.path.normpath(dest)}.lock", GRACE_FOR_START
    while True:
        result = _read(results_file)
        # Ansible writes this before the module has ended. Its own result does not have it.
        if result and ("started" not in result or result.get("finished")):
            break
        now = time.monotonic()
        if is_locked(lock):
            alive, grace = now, GRACE_FOR_RESULT
        if now - alive > grace:
            raise ModuleFailure(
                f"the transfer of {dest} was killed on this host: its log is that of the system, for example if the"
                " memory was exhausted. Run the play again; the transfer continues"
            )
        if now - started > timeout:
            raise ModuleFailure(f"the transfer of {dest} has not ended within {timeout:.0f} s: run the play again")
        time.sleep(INTERVAL)
    with suppress(OSError):
        os.unlink(results_file)
    if result.get("failed") or "changed" not in result:
        said = result.get("msg") or result.get("module_stderr") or result.get("stderr") or "no message"
        raise ModuleFailure(str(said)[-SHOWN:])
    return {name: result[name] for name in FIELDS if name in result}


def _read(path: str) -> dict[str, t.Any]:
    """Empty while it is not written yet."""
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
