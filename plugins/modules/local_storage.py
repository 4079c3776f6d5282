#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: local_storage
short_description: Grow the root file system to its disk, and make local drives one file system
version_added: "0.1.0"
description:
  - Grows the root file system when its disk is larger than its partition, whether it is on a partition or on a linear
    logical volume, ext4 or XFS. Where C(oci-growfs) is installed, that does it; what it leaves is done after it.
  - Makes one XFS file system of local drives, with RAID0 over several, and mounts it by its UUID at every boot.
  - All steps are planned before the first is taken. What cannot be done is refused with all reasons at once, and
    nothing is touched then.
  - A drive with anything on it (a signature, a partition table, a RAID member, a physical volume) is refused unless it
    is named in O(drives) and confirmed in O(wipe). A drive that is in use is refused in any case.
  - Array and file system are known again by their UUIDs, which follow from the drives they are made of. So a run that
    was interrupted is finished by the next one, and nothing else is taken for them.
  - It needs nothing but Python on the host to plan. RV(missing_programs) says what the steps need beside that.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  grow_root:
    description:
      - Let the root file system have all of its disk. A volume group's free space is taken, too.
      - Less than 64 MiB are not worth a step.
    type: bool
    default: false
  drives:
    description:
      - The drives to make one file system of, by serial or by their names in C(/dev/disk/by-id).
      - The single word V(empty_nvme) stands for all NVMe drives with nothing on them, and later for those that were
        taken for O(mount).
      - None by default.
    type: list
    elements: str
    default: []
  mount:
    description:
      - Where the file system is mounted.
    type: path
    default: /opt/trtllm
  wipe:
    description:
      - Serials, or names in C(/dev/disk/by-id), of drives among O(drives) that may lose what is on them.
      - What this module has made of the same drives is never wiped.
    type: list
    elements: str
    default: []
  move:
    description:
      - When there is something at O(mount) already, copy it to the new file system. The original stays beside it, with
        C(.before-storage) appended to its name. Stop first what writes there.
      - When V(false), that is refused, for the mount would hide it.
    type: bool
    default: false
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Let the root file system have all of the boot volume
  tritonops.trtllm.local_storage:
    grow_root: true

- name: Have the folder on two drives, one of which may lose what is on it
  tritonops.trtllm.local_storage:
    drives: [S4YPNE0R800001, S4YPNE0R800002]
    wipe: [S4YPNE0R800002]
    mount: /opt/trtllm
"""

RETURN = r"""
steps:
  description:
    - What was done (in check mode, what would be), in this order. A step is a command, or a line that a file gets.
    - Where an array of ours is not running, check mode cannot tell what comes after starting it.
  returned: always
  type: list
  elements: dict
  contains:
    why:
      description: What the step is for.
      type: str
      sample: grow partition /dev/sda3 by 153.4 GiB
    argv:
      description: The command.
      type: list
      elements: str
      sample: [growpart, /dev/sda, "3"]
    path:
      description: The file.
      type: str
      sample: /etc/fstab
    line:
      description: Its new line.
      type: str
      sample: UUID=0e2f4f4a-6d3b-5a8e-8a5c-1c1f7f3c2b9d /opt/trtllm xfs defaults,noatime,nofail 0 0
predicted:
  description: How much will be free on the file systems that are asked for, rather too little than too much.
  returned: always
  type: list
  elements: dict
  sample:
    - mount: /opt/trtllm
      free_bytes: 26700000000000
missing_programs:
  description: Programs that the steps need and the host has not.
  returned: always
  type: list
  elements: str
  sample: [mdadm, mkfs.xfs]
"""

import os
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import DEFAULT_ROOT
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._umask import readable_by_everybody
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._facts import FactsError, read_host
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._model import (
    Host,
    Request,
    Step,
    readable,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._storage import Plan, plan

SBIN = ["/sbin", "/usr/sbin", "/usr/local/sbin"]


# An array that was not running shows what is on it when it runs; then a second round finishes.
ROUNDS = 2


class StorageError(Exception):
    """What failed, and what to change."""


class Storage:
    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        params = module.params
        self.wishes = Request(
            grow_root=params["grow_root"],
            drives=tuple(params["drives"]),
            mount=os.path.normpath(params["mount"]),
            wipe=tuple(params["wipe"]),
            move=params["move"],
        )

    def look(self) -> Host:
        return read_host(self._run, self.wishes.mount)

    def plan(self, host: Host) -> Plan:
        planned = plan(host, self.wishes)
        if planned.refusals:
            raise StorageError("nothing was touched:\n" + "\n".join(f"- {refusal}." for refusal in planned.refusals))
        return planned

    def missing_programs(self, planned: Plan) -> list[str]:
        programs = dict.fromkeys(step.argv[0] for step in planned.steps if step.argv)
        return [name for name in programs if self.module.get_bin_path(name, opt_dirs=SBIN) is None]

    def carry_out(self, planned: Plan) -> None:
        missing = self.missing_programs(planned)
        if missing:
            raise StorageError(f"nothing was touched: {', '.join(missing)} must be installed first")
        for step in planned.steps:
            if step.argv:
                self._command(step)
            else:
                self._append(step)

    def _command(self, step: Step) -> None:
        code, out, err = self._run(list(step.argv))
        if code != 0:
            raise StorageError(
                f"cannot {step.purpose}: '{describe(step)}' failed ({code}): {err.strip() or out.strip()}."
                " What was done before that stays; remove the cause and run again, which goes on from here."
            )
        # The next step may need the name that udev is about to give.
        if self.module.get_bin_path("udevadm", opt_dirs=SBIN):
            self._run(["udevadm", "settle", "--timeout=60"])

    def _run(self, argv: list[str]) -> tuple[int, str, str]:
        program = self.module.get_bin_path(argv[0], opt_dirs=SBIN)
        if program is None:
            raise FileNotFoundError(argv[0])
        # Their words are read.
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
    """The file systems that are asked for with what is free there, and the steps."""
    now = {mount.target: mount.free for mount in host.mounts}
    lines = [f"{mount}: {readable(now[mount])} free\n" for mount, _free in planned.free if mount in now]
    then = [f"{mount}: {readable(free)} free\n" for mount, free in planned.free]
    return {"before": "".join(lines), "after": "".join([*then, *(f"{describe(step)}\n" for step in steps)])}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    storage = Storage(module)
    host = storage.look()
    planned = rest = storage.plan(host)
    steps = list(planned.steps)
    missing = storage.missing_programs(planned)
    for _round in range(0 if module.check_mode else ROUNDS):
        if not rest.steps:
            break
        storage.carry_out(rest)
        # oci-growfs ends well even where it could do nothing, as on an NVMe drive: the rest goes without it.
        rest = storage.plan(storage.look()._replace(oci_growfs=""))
        steps += rest.steps
    if not module.check_mode and rest.steps:
        left = "; ".join(f"{step.purpose} ({describe(step)})" for step in rest.steps)
        raise StorageError(f"every step was taken, and still there is to do: {left}. Look what undoes it")
    return {
        "changed": bool(steps),
        "steps": [as_dict(step) for step in steps],
        "predicted": [{"mount": mount, "free_bytes": free} for mount, free in rest.free],
        "missing_programs": missing,
        "diff": difference(host, planned, steps),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "grow_root": {"type": "bool", "default": False},
            "drives": {"type": "list", "elements": "str", "default": []},
            "mount": {"type": "path", "default": DEFAULT_ROOT},
            "wipe": {"type": "list", "elements": "str", "default": []},
            "move": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        with readable_by_everybody():
            result = run(module)
    except (StorageError, FactsError) as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"the host's storage cannot be changed: {exc}. Run again, which goes on from here.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
