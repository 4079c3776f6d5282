# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The host of the watchdog, for the checks of preflight, which otherwise get it from a module of Ansible."""

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks import _fabric, _gpu_health, _gpus, _xid
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import Fact, FactKind
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus, Needs
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._timeout import output_or_none

# nvidia-smi of a host with a faulty GPU can hang.
TIMEOUT = 20
# Findings that mean that a GPU cannot be relied on. The others of preflight are about the deployment or its speed.
FAULTS: tuple[t.Callable[..., t.Iterable[t.Any]], ...] = (
    *(_gpus.nvidia_smi, _gpus.gpu_lost, _xid.xid, _fabric.fabric_manager, _fabric.fabric_state),
    *(_gpu_health.ecc_uncorrected, _gpu_health.ecc_sram_threshold, _gpu_health.row_remapping_failed),
    _gpu_health.gpu_recovery,
)


class Commands:
    """Runs commands like a module of Ansible."""

    def get_bin_path(self, name: str) -> str | None:
        return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")

    def run_command(self, command: t.Sequence[str]) -> tuple[int, str, str]:
        try:
            done = subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )
        except OSError as exc:
            return 127, "", str(exc)
        return done.returncode, done.stdout, done.stderr


class Host:
    """Gathers each fact once, like `checks._live_host.LiveHost`."""

    def __init__(self) -> None:
        self.module: t.Any = Commands()
        self.options = {"command_timeout": TIMEOUT}
        self.needs = Needs(gpus=Gpus())
        self._facts: dict[type[Fact], t.Any] = {}

    def fact(self, kind: type[FactKind]) -> FactKind | None:
        if kind not in self._facts:
            gather: t.Callable[[t.Any], t.Any] = kind.gather
            self._facts[kind] = gather(self)
        return self._facts[kind]

    def output_of(self, program: str, *arguments: str) -> str | None:
        return output_or_none(self.module, self.options["command_timeout"], program, *arguments)


def gpu_faults(host: Host) -> tuple[str, ...]:
    """What is wrong with the host's GPUs, in the words of preflight."""
    found = []
    for check in (*_gpus.CHECKS, *_xid.CHECKS, *_fabric.CHECKS, *_gpu_health.CHECKS):
        facts = [host.fact(kind) for kind in check.facts] if check.find in FAULTS else [None]
        if None not in facts:
            found += [finding.message for finding in check.find(host.needs.gpus, *facts)]
    return tuple(found)
