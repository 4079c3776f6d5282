#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: local_storage
short_description: Grow the root file system, and combine local drives to one file system
version_added: "0.1.0"
description:
  - Grows the root file system if its disk is larger. It can be ext4 or XFS, on a partition or a linear logical volume.
    If C(oci-growfs) is installed, it is run first.
  - Creates one XFS file system on local drives, with RAID0 if there are several, and mounts it by UUID at boot.
  - All steps are planned before the first one is run. If something is not possible, the module fails with all reasons
    at once and changes nothing.
  - Drives that are not empty (with a signature, a partition table, a RAID member or a physical volume) are refused
    unless they are listed in both O(drives) and O(wipe). Drives that are in use are always refused.
  - The UUIDs of the array and the file system are derived from the drives. This is how the next run recognises them,
    and continues if a run was interrupted.
  - Planning only needs Python on the host. RV(missing_programs) lists the programs that the steps need.
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
      - Whether to grow the root file system to the whole disk, including free space of its volume group.
      - Less than 64 MiB of free space are ignored.
    type: bool
    default: false
  drives:
    description:
      - The drives to combine to one file system, by serial number or by name in C(/dev/disk/by-id).
      - The single value V(empty_nvme) selects all empty NVMe drives; in later runs, the drives that were used for
        O(mount).
      - None by default.
    type: list
    elements: str
    default: []
  mount:
    description:
      - The mount point of the file system.
    type: path
    default: /opt/trtllm
  wipe:
    description:
      - Drives of O(drives) whose contents may be deleted, by serial number or by name in C(/dev/disk/by-id).
      - An array or file system that this module created from the same drives is never deleted.
    type: list
    elements: str
    default: []
  move:
    description:
      - Whether to copy files that exist at O(mount) to the new file system. The original folder is kept, with
        C(.before-storage) appended to its name. Stop programs that write there first.
      - If V(false), the module fails if there are such files, because the mount would hide them.
    type: bool
    default: false
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Grow the root file system to the whole boot volume
  tritonops.trtllm.local_storage:
    grow_root: true

- name: Mount two drives, one of which is not empty and may be wiped
  tritonops.trtllm.local_storage:
    drives: [S4YPNE0R800001, S4YPNE0R800002]
    wipe: [S4YPNE0R800002]
    mount: /opt/trtllm
"""

RETURN = r"""
steps:
  description:
    - The steps that were run (in check mode, that would be run), in this order. A step is a command, or a line that is
      added to a file.
    - If an array of this module is not running, check mode does not know the steps after starting it.
  returned: always
  type: list
  elements: dict
  contains:
    why:
      description: The reason for the step.
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
  description: The expected free space on the requested file systems, rather too low than too high.
  returned: always
  type: list
  elements: dict
  sample:
    - mount: /opt/trtllm
      free_bytes: 26700000000000
missing_programs:
  description: Programs that the steps need and that are not installed.
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
