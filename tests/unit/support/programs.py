# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module on a host with simulated programs."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule


class FakeModule(AnsibleModule):
    """The output of each program by name, or by name and first argument; None for a program that fails."""

    def __init__(self, programs: t.Mapping[str, t.Any]) -> None:
        self.programs = programs

    def get_bin_path(self, arg: str, *_rest: t.Any, **_options: t.Any) -> str | None:
        return f"/usr/bin/{arg}" if arg in self.programs else None

    def run_command(self, args: t.Any, *_rest: t.Any, **_options: t.Any) -> tuple[int, str, str]:
        # The command begins with timeout and its arguments.
        at = next(at for at, word in enumerate(args) if word.startswith("/usr/bin/"))
        says = self.programs[args[at].rpartition("/")[2]]
        if isinstance(says, t.Mapping):
            says = says.get(args[at + 1])
        return (1, "", "it fails") if says is None else (0, says, "")
