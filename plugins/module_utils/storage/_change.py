# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Carries out the steps of a storage plan, and checks afterwards that nothing is left to do."""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._umask import readable_by_everybody
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._facts import read_host
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._model import Host, Request, Step, readable
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._storage import Plan, plan

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

SBIN = ["/sbin", "/usr/sbin", "/usr/local/sbin"]


# The contents of an array are only visible once it runs, so a second round may be needed.
ROUNDS = 2


class Storage:
    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        params = module.params
        self.request = Request(
            grow_root=params["grow_root"],
            drives=tuple(params["drives"]),
            mount=os.path.normpath(params["mount"]),
            wipe=tuple(params["wipe"]),
            move=params["move"],
        )

    def read(self) -> Host:
        """Nothing is read if nothing is requested: some hosts do not have the programs, or do not allow it."""
        wanted = self.request.grow_root or self.request.drives
        return read_host(self._run, self.request.mount) if wanted else Host((), ())

    def plan(self, host: Host) -> Plan:
        planned = plan(host, self.request)
        if planned.refusals:
            raise ModuleFailure("nothing was touched:\n" + "\n".join(f"- {refusal}." for refusal in planned.refusals))
        return planned

    def missing_programs(self, planned: Plan) -> list[str]:
        programs = dict.fromkeys(step.argv[0] for step in planned.steps if step.argv)
        return [name for name in programs if self.module.get_bin_path(name, opt_dirs=SBIN) is None]

    def carry_out(self, planned: Plan) -> None:
        missing = self.missing_programs(planned)
        if missing:
            raise ModuleFailure(f"nothing was touched: {', '.join(missing)} must be installed first")
        for step in planned.steps:
            if step.argv:
                self._command(step)
            else:
                self._append(step)

    def _command(self, step: Step) -> None:
        code, out, err = self._run(list(step.argv))
        if code != 0:
            raise ModuleFailure(
                f"cannot {step.purpose}: '{describe(step)}' failed ({code}): {err.strip() or out.strip()}."
                " The steps before it are kept. Fix the cause and run again; that continues from here."
            )
        # The next step may need a name that udev still has to create.
        if self.module.get_bin_path("udevadm", opt_dirs=SBIN):
            self._run(["udevadm", "settle", "--timeout=60"])

    def _run(self, argv: list[str]) -> tuple[int, str, str]:
        program = self.module.get_bin_path(argv[0], opt_dirs=SBIN)
        if program is None:
            raise FileNotFoundError(argv[0])
        # The output is parsed.
        return self.module.run_command([program, *argv[1:]], environ_update={"LC_ALL": "C"})

    def _append(self, step: Step) -> None:
        text = read(step.path)
        os.makedirs(os.path.dirname(step.path), exist_ok=True)
        handle, candidate = tempfile.mkstemp(dir=self.module.tmpdir)
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(with_line(text, step.line))
        self.module.atomic_move(candidate, step.path)


def read(path: str) -> str:
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        return stream.read()


def with_line(text: str, line: str) -> str:
    return text + ("\n" if text and not text.endswith("\n") else "") + line + "\n"


def describe(step: Step) -> str:
    return " ".join(step.argv) if step.argv else f"{step.path}: {step.line}"


def as_dict(step: Step) -> dict[str, t.Any]:
    chosen = {"argv": list(step.argv)} if step.argv else {"path": step.path, "line": step.line}
    return {"why": step.purpose, **chosen}


def difference(host: Host, planned: Plan, steps: list[Step]) -> dict[str, str]:
    """The requested file systems with their free space, and the steps."""
    now = {mount.target: mount.free for mount in host.mounts}
    lines = [f"{mount}: {readable(now[mount])} free\n" for mount, _free in planned.free if mount in now]
    then = [f"{mount}: {readable(free)} free\n" for mount, free in planned.free]
    return {"before": "".join(lines), "after": "".join([*then, *(f"{describe(step)}\n" for step in steps)])}


@readable_by_everybody()
def ensure_storage(module: AnsibleModule) -> dict[str, t.Any]:
    storage = Storage(module)
    host = storage.read()
    planned = rest = storage.plan(host)
    steps = list(planned.steps)
    missing = storage.missing_programs(planned)
    for _round in range(0 if module.check_mode else ROUNDS):
        if not rest.steps:
            break
        storage.carry_out(rest)
        # oci-growfs succeeds even if it did nothing, as on an NVMe drive. Plan the rest without it.
        rest = storage.plan(storage.read()._replace(oci_growfs=""))
        steps += rest.steps
    if not module.check_mode and rest.steps:
        left = "; ".join(f"{step.purpose} ({describe(step)})" for step in rest.steps)
        raise ModuleFailure(f"all steps succeeded, but there is still something to do: {left}. Check what undoes them")
    return {
        "changed": bool(steps),
        "steps": [as_dict(step) for step in steps],
        "predicted": [{"mount": mount, "free_bytes": free} for mount, free in rest.free],
        "missing_programs": missing,
        "diff": difference(host, planned, steps),
    }
