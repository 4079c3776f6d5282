#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_record
short_description: Record the state of a host before a role changes it, and restore it
version_added: "0.1.0"
description:
  - A role opens its part of the record before it changes anything, and closes it afterwards. The state at the first
    time is recorded. Later runs add to the record and never replace an entry.
  - All changes of O(files), O(units), O(users) and O(groups) while a part is open count as the role's. A part that a
    killed run left open is closed by the next run of the role, or when the host is restored.
  - Of the packages that are installed meanwhile, the record contains O(packages), their dependencies, and what replaces
    a package that the role removed. Packages that others installed, or depend on, are never removed.
  - Changes that others make to a file, group or unit between two runs are kept, for each key in O(json_files) and each
    line in O(line_files). Other files are kept as a whole.
  - Packages are removed and reinstalled with the modules of the package manager.
    M(tritonops.trtllm.host_record_info) returns which. Only the signing keys that rpm imported when it installed
    packages are removed by this module.
  - On Debian and Ubuntu, opening a part with O(packages) finishes an interrupted run of the package manager
    (C(dpkg --configure -a)), because the state of a partly installed package cannot be recorded.
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
  state:
    description:
      - V(open) before and V(closed) after the changes of a role.
      - V(restored) restores files, units, users and groups, and removes the record if nothing remains. Use it after the
        packages were removed and reinstalled.
    type: str
    required: true
    choices: [open, closed, restored]
  part:
    description:
      - The part of the record, such as the name of a role.
      - Required unless O(state=restored).
    type: str
  packages:
    description:
      - Names of the packages that the role installs or removes.
    type: list
    elements: str
    default: []
  files:
    description:
      - Files, links and folders that the role creates or changes. Shell patterns are allowed.
      - A folder that did not exist is removed if it is empty.
    type: list
    elements: str
    default: []
  json_files:
    description:
      - Files with a JSON object that may also contain keys of others.
    type: list
    elements: str
    default: []
  line_files:
    description:
      - Files that may also contain lines of others, such as C(/etc/fstab).
    type: list
    elements: str
    default: []
  trees:
    description:
      - Folders that a program fills, and files that it creates. If they did not exist, they are removed with their
        contents. A folder that was empty is emptied. Others are left unchanged.
      - They are not removed while the O(units) of the part exist.
    type: list
    elements: str
    default: []
  units:
    description:
      - systemd units whose state the role changes.
    type: list
    elements: str
    default: []
  users:
    description:
      - Users that the role creates.
    type: list
    elements: str
    default: []
  groups:
    description:
      - Groups that the role creates, or adds members to.
    type: list
    elements: str
    default: []
  before:
    description:
      - With O(state=open), a file with an earlier list of the packages, for changes that were made before the host had
        a Python for this module. It is the output of C(rpm -qa) with the format
        C(%{NAME}\\t%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{EPOCHNUM}\\n).
    type: path
  keep:
    description:
      - With O(state=restored), parts that are not restored, each with the reason.
    type: dict
    default: {}
  already_removed:
    description:
      - With O(state=restored) in check mode, paths that a real run would have removed before this task.
    type: list
    elements: str
    default: []
  path:
    description:
      - The record. Only root can read it, because it contains files of others.
    type: path
    default: /var/lib/trtllm/host_record.json
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Record the host's state before the changes
  tritonops.trtllm.host_record:
    state: open
    part: docker
    packages: [docker-ce, docker-ce-cli, containerd.io, runc]
    files: [/etc/docker, /etc/apt/sources.list.d/docker.sources]
    json_files: [/etc/docker/daemon.json]
    trees: [/var/lib/docker]
    units: [docker.service]
    groups: [docker]

- name: Install and configure Docker
  ansible.builtin.include_tasks: install.yml

- name: Record the host's state after the changes
  tritonops.trtllm.host_record:
    state: closed
    part: docker

- name: Restore the host, but keep Docker
  tritonops.trtllm.host_record:
    state: restored
    keep:
      docker: others use it for the container web
"""

RETURN = r"""
files:
  description: Those of O(files) that exist.
  returned: when O(state=open)
  type: list
  elements: str
  sample: [/etc/docker]
users:
  description: Those of O(users) that exist, with the ids of the user and its group.
  returned: when O(state=open)
  type: dict
  sample:
    trtllm: {"uid": 997, "gid": 995}
installed:
  description: Those of O(packages) that are installed, with their versions.
  returned: when O(state=open)
  type: dict
  sample:
    docker-ce: 5:28.5.1-1~debian.12~bookworm
finished:
  description: What an interrupted run of the package manager had left incomplete.
  returned: when O(state=open), if there was one
  type: str
  sample: dpkg was interrupted
restored:
  description: What was restored.
  returned: when O(state=restored)
  type: list
  elements: str
  sample: [/etc/docker/daemon.json, group docker]
remaining:
  description: What was not restored, and why.
  returned: when O(state=restored)
  type: dict
  sample:
    /etc/docker: contains certs.d
remaining_parts:
  description: Parts of which something can still be restored later. If there are none, the record is removed.
  returned: when O(state=restored)
  type: list
  elements: str
  sample: [docker]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._host_record import SCOPES
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._live_host import Host
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._operations import (
    close_record,
    open_record,
    restore_host,
)

STATES = {"open": open_record, "closed": close_record, "restored": restore_host}


def change_state(module: AnsibleModule) -> dict[str, t.Any]:
    return STATES[module.params["state"]](module.params, Host(module), module.check_mode)


def main() -> None:
    names: dict[str, t.Any] = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": list(STATES)},
            "part": {"type": "str"},
            **dict.fromkeys(SCOPES, names),
            "before": {"type": "path"},
            "keep": {"type": "dict", "default": {}},
            "already_removed": names,
            "path": {"type": "path", "default": "/var/lib/trtllm/host_record.json"},
        },
        required_if=[("state", "open", ["part"]), ("state", "closed", ["part"])],
        supports_check_mode=True,
    )
    run_module(module, change_state, "cannot record or restore the host's state", remedy="Run this task as root.")


if __name__ == "__main__":
    main()
