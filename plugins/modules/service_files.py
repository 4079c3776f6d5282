#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_files
short_description: Write the systemd unit and the scripts of a release
version_added: 0.1.0
description:
  - Creates the user that a container runs as, and writes the systemd unit and the scripts that start and stop it. All
    of it is one task, so that a run that changes nothing is quick.
  - The unit and the user are recorded in the host record, which M(tritonops.trtllm.host_record) restores.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  action:
    description: An action plugin on the control node renders templates.
    support: full
options:
  part:
    description:
      - The part of the host record.
    type: str
    required: true
  user:
    description:
      - The user and its group. A user that does not exist is created as a system user that cannot log in.
    type: str
    required: true
  unit:
    description:
      - The systemd unit.
    type: dict
    required: true
    suboptions:
      path:
        description:
          - The file on the host.
        type: path
        required: true
      content:
        description:
          - What the file contains, or the name of a template of the role (V(*.j2)).
        type: str
        required: true
  scripts:
    description:
      - Programs for C(sh), whose folder must exist. A script with a syntax error is not written.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - The file on the host.
        type: path
        required: true
      content:
        description:
          - What the file contains, or the name of a template of the role (V(*.j2)). V(@UID@) and V(@GID@) are
            replaced by the ids of O(user) and its group.
        type: str
        required: true
      predict:
        description:
          - Whether only to report if the script would change, as in check mode.
        type: bool
        default: false
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Write the unit and the script of a service
  tritonops.trtllm.service_files:
    part: triton_service
    user: trtllm
    unit:
      path: /etc/systemd/system/trtllm@.service
      content: unit.service.j2
    scripts:
      - path: /opt/trtllm/deployments/default/releases/one/run
        content: run.j2
"""

RETURN = r"""
files:
  description: Files that were written, or would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/systemd/system/trtllm@.service]
"""

import os
import pwd
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._files import Files
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._live_host import Host
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._operations import recorded

RECORD = "/var/lib/trtllm/host_record.json"


def install(module: AnsibleModule) -> dict[str, t.Any]:
    params, host, files = module.params, Host(module), Files(module)
    user, unit = params["user"], params["unit"]
    check_folders(params["scripts"], module.check_mode)
    scope = {"files": [unit["path"]], "users": [user], "groups": [user]}
    with recorded(params["part"], scope, host, module.check_mode, RECORD):
        created = host.user(user) is None
        if created and not module.check_mode:
            host.create_user(user)
        files.write(unit["path"], unit["content"].encode("utf-8"))
        for script in params["scripts"]:
            content = with_ids(script["content"], user)
            files.write(script["path"], content.encode("utf-8"), 0o755, ["sh", "-n"], predict=script["predict"])
    return {"changed": created or bool(files.changed), "files": files.changed, "diff": files.diff}


def check_folders(scripts: t.Iterable[t.Mapping[str, str]], check_mode: bool) -> None:
    """In check mode, the folder of the release may not exist yet."""
    missing = [script["path"] for script in scripts if not os.path.isdir(os.path.dirname(script["path"]))]
    if missing and not check_mode:
        raise ModuleFailure(
            f"{missing[0]} cannot be written, because its folder does not exist: create the release first"
        )


def with_ids(content: str, user: str) -> str:
    try:
        found = pwd.getpwnam(user)
        uid, gid = str(found.pw_uid), str(found.pw_gid)
    except KeyError:
        # In check mode, it was not created.
        uid = gid = "new"
    return content.replace("@UID@", uid).replace("@GID@", gid)


def main() -> None:
    file = {"path": {"type": "path", "required": True}, "content": {"type": "str", "required": True}}
    script = {**file, "predict": {"type": "bool", "default": False}}
    module = AnsibleModule(
        argument_spec={
            "part": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "unit": {"type": "dict", "required": True, "options": file},
            "scripts": {"type": "list", "elements": "dict", "required": True, "options": script},
        },
        supports_check_mode=True,
    )
    run_module(module, install, "cannot write the files of the service", remedy="Run this task as root.")


if __name__ == "__main__":
    main()
