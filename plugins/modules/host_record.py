#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_record
short_description: Remember what a host was like before a role, and make it that again
version_added: "0.1.0"
description:
  - A role opens its part of the record before it changes anything and closes it after. What was there at the first
    time is remembered; later runs add to it and never replace it.
  - What changes while a part is open is the role's doing. A part that a killed run has left open is closed by the next
    run of that role, or by the restoration.
  - Of packages that came meanwhile only those count that the role names in O(packages), what these need, and what
    others got in place of a package that the role removed. What somebody else has installed is never removed, and
    neither is what others' packages need.
  - What others change in a file, a group or a unit between two runs stays theirs, key by key in O(json_files), line by
    line in O(line_files). Other files stay as a whole as they have left them.
  - Packages are removed and brought back by the package manager's own modules;
    M(tritonops.trtllm.host_record_info) tells which. Keys that rpm has imported as packages were installed are removed
    here.
  - On Debian and Ubuntu, opening a part with O(packages) finishes a run of the package manager that was killed
    (C(dpkg --configure -a)), for of half a package nothing can be said.
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
      - V(open) and V(closed) go around what a role does.
      - V(restored) makes files, units, users and groups what they were, and ends the record when nothing is left to do.
        Run it after the packages.
    type: str
    required: true
    choices: [open, closed, restored]
  part:
    description:
      - Who is working, such as the name of a role.
      - Needed unless O(state=restored).
    type: str
  packages:
    description:
      - Names of the packages that the role installs or removes.
    type: list
    elements: str
    default: []
  files:
    description:
      - Files, links and folders that the role makes or changes. Shell patterns are allowed.
      - A folder that was not there is removed when nothing is left in it.
    type: list
    elements: str
    default: []
  json_files:
    description:
      - Files with a JSON object, in which others have keys, too.
    type: list
    elements: str
    default: []
  line_files:
    description:
      - Files in which others have lines, too, such as C(/etc/fstab).
    type: list
    elements: str
    default: []
  trees:
    description:
      - Folders that a program fills, and files that it makes. What was not there is removed with all that is in it, a
        folder that was empty is emptied, anything else is left alone.
      - They wait until the O(units) of the part are gone.
    type: list
    elements: str
    default: []
  units:
    description:
      - Units of systemd whose state the role changes.
    type: list
    elements: str
    default: []
  users:
    description:
      - Users that the role makes.
    type: list
    elements: str
    default: []
  groups:
    description:
      - Groups that the role makes or adds members to.
    type: list
    elements: str
    default: []
  before:
    description:
      - With O(state=open), a list of the packages from before, for what had to be done before there was a Python to run
        this with. It is what C(rpm -qa) shows with the format
        C(%{NAME}\\t%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{EPOCHNUM}\\n).
    type: path
  hold:
    description:
      - With O(state=restored), parts that are left as they are, each with the reason.
    type: dict
    default: {}
  gone:
    description:
      - With O(state=restored) in check mode, paths that a real run would have removed before.
    type: list
    elements: str
    default: []
  path:
    description:
      - The record. Only root can read it, for it has what was in files of others.
    type: path
    default: /var/lib/trtllm/host_record.json
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Remember what the host is like
  tritonops.trtllm.host_record:
    state: open
    part: docker
    packages: [docker-ce, docker-ce-cli, containerd.io, runc]
    files: [/etc/docker, /etc/apt/sources.list.d/docker.sources]
    json_files: [/etc/docker/daemon.json]
    trees: [/var/lib/docker]
    units: [docker.service]
    groups: [docker]

- name: Install and configure the engine
  ansible.builtin.include_tasks: install.yml

- name: Remember what has come
  tritonops.trtllm.host_record:
    state: closed
    part: docker

- name: Make the host what it was, but leave the engine
  tritonops.trtllm.host_record:
    state: restored
    hold:
      docker: the container web is somebody else's
"""

RETURN = r"""
files:
  description: The paths of O(files) that are there.
  returned: when O(state=open)
  type: list
  elements: str
  sample: [/etc/docker]
users:
  description: Those of O(users) that are there, with the ids of the user and of its group.
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
  description: What a killed run of the package manager had left undone.
  returned: when O(state=open) and there was one
  type: str
  sample: dpkg was interrupted
restored:
  description: What was made as it was.
  returned: when O(state=restored)
  type: list
  elements: str
  sample: [/etc/docker/daemon.json, group docker]
left:
  description: What was left other than it was, and why.
  returned: when O(state=restored)
  type: dict
  sample:
    /etc/docker: has certs.d in it
remembered:
  description: Parts of which something is left that can be made as it was another time. Without any there is no record.
  returned: when O(state=restored)
  type: list
  elements: str
  sample: [docker]
"""

import glob
import json
import pwd
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._host_record import (
    SCOPES,
    HostRecordError,
    Restoration,
    close_part,
    lasting,
    load,
    open_part,
    parts_of,
    remove,
    save,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._packages import Packages, parse_rpm, plain
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._state import Host


def shown(record: dict[str, t.Any] | None) -> str:
    """For the diff, without what is in the files of others."""
    described = lasting(record)
    for entry in described["files"].values():
        if entry["before"]:
            entry["before"] = entry["before"]["kind"]
    return json.dumps(described, indent=1, sort_keys=True) + "\n"


def listed_before(path: str | None) -> Packages | None:
    if path is None:
        return None
    with open(path, encoding="utf-8") as stream:
        return parse_rpm(stream.read(), needs="", wants="", gives="", files="")


def run_open(module: AnsibleModule, host: Host) -> dict[str, t.Any]:
    """Remember what is not remembered yet."""
    path = module.params["path"]
    interrupted = host.interrupted() if module.params["packages"] else ""
    if interrupted and not module.check_mode:
        host.finish_interrupted()
    before = load(path)
    scope = {name: module.params[name] for name in SCOPES}
    after = open_part(before, module.params["part"], scope, host, listed_before(module.params["before"]))
    if not module.check_mode:
        save(after, path)
    result = {**described(path, before, after), **present(scope, host)}
    return {**result, "changed": True, "finished": interrupted} if interrupted else result


def present(scope: dict[str, list[str]], host: Host) -> dict[str, t.Any]:
    """What of the part is there already, so that a role need not look for it again."""
    wanted = scope["packages"]
    packages = host.packages() if wanted else {}
    known = [user for user in pwd.getpwall() if user.pw_name in scope["users"]]
    return {
        # By the names that a role gives them.
        "installed": {plain(name): package.version for name, package in packages.items() if plain(name) in wanted},
        "files": sorted({path for pattern in scope["files"] for path in glob.glob(pattern)}),
        "users": {user.pw_name: {"uid": user.pw_uid, "gid": user.pw_gid} for user in known},
    }


def run_closed(module: AnsibleModule, host: Host) -> dict[str, t.Any]:
    """Remember what was done. In check mode nothing was."""
    path = module.params["path"]
    before = load(path)
    if module.check_mode or before is None:
        return {"changed": False}
    after = close_part(before, module.params["part"], host)
    save(after, path)
    return described(path, before, after)


def described(path: str, before: dict[str, t.Any] | None, after: dict[str, t.Any]) -> dict[str, t.Any]:
    """Changed is what is remembered; that somebody is at work is not."""
    return {
        "changed": lasting(before) != lasting(after),
        "diff": {"before_header": path, "after_header": path, "before": shown(before), "after": shown(after)},
    }


def run_restored(module: AnsibleModule, host: Host) -> dict[str, t.Any]:
    """Make the host what it was, and forget what is."""
    path = module.params["path"]
    record = load(path)
    if record is None:
        return {"changed": False, "restored": [], "left": {}, "remembered": []}
    restoration = Restoration(record, module.params["hold"], host, module.check_mode, module.params["gone"])
    left = restoration.run()
    if not module.check_mode:
        if left is None:
            remove(path)
        else:
            save(left, path)
    changes = sorted(restoration.changes)
    return {
        "changed": bool(changes) or left is None,
        "restored": changes,
        "left": restoration.notes,
        "remembered": parts_of(left),
        "diff": {"before": "".join(f"{change}\n" for change in changes), "after": ""},
    }


STATES = {"open": run_open, "closed": run_closed, "restored": run_restored}


def main() -> None:
    names: dict[str, t.Any] = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": list(STATES)},
            "part": {"type": "str"},
            **dict.fromkeys(SCOPES, names),
            "before": {"type": "path"},
            "hold": {"type": "dict", "default": {}},
            "gone": names,
            "path": {"type": "path", "default": "/var/lib/trtllm/host_record.json"},
        },
        required_if=[("state", "open", ["part"]), ("state", "closed", ["part"])],
        supports_check_mode=True,
    )
    try:
        result = STATES[module.params["state"]](module, Host(module))
    except HostRecordError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"The host cannot be recorded or restored: {exc}. Run it as root.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
