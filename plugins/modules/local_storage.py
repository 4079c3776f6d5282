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
      description: Why it is done.
      type: str
      sample: no partition has the 153.4 GiB behind /dev/sda3
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import DEFAULT_ROOT
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._change import ensure_storage


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
    run_module(
        module, ensure_storage, "cannot change the host's storage", remedy="Run the task again; it continues from here."
    )


if __name__ == "__main__":
    main()
