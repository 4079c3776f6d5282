#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_record_info
short_description: Tell which packages would have to go and to come back for a host to be what it was
version_added: "0.1.0"
description:
  - Reads the record of M(tritonops.trtllm.host_record) and compares it with the packages that are there now.
  - A package that others need is not told to be removed.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module
options:
  hold:
    description:
      - Parts of the record that are left as they are, each with the reason.
    type: dict
    default: {}
  path:
    description:
      - The record.
    type: path
    default: /var/lib/trtllm/host_record.json
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Ask what came by us
  tritonops.trtllm.host_record_info:
  register: record

- name: Remove it
  ansible.builtin.apt:
    name: "{{ record.remove }}"
    state: absent
"""

RETURN = r"""
recorded:
  description: Whether there is a record.
  returned: always
  type: bool
  sample: true
family:
  description: By what packages are kept, V(deb) or V(rpm).
  returned: always
  type: str
  sample: deb
parts:
  description: The parts of which packages came and are there.
  returned: always
  type: list
  elements: str
  sample: [docker, host_python]
remove:
  description: Packages that came and can go.
  returned: always
  type: list
  elements: str
  sample: [containerd, docker.io, runc]
remove_at_last:
  description:
    - Packages that came in the place of some in RV(install), and can go once these are back, for others need the one or
      the other.
  returned: always
  type: list
  elements: str
  sample: [crun]
signing_keys:
  description:
    - Keys of repositories that came and can go, as rpm lists them. M(tritonops.trtllm.host_record) removes them.
  returned: always
  type: list
  elements: str
  sample: [gpg-pubkey-621e9f35-58adea78]
units:
  description: Units of systemd that came with these packages.
  returned: always
  type: list
  elements: str
  sample: [containerd.service, docker.service, docker.socket]
held:
  description: Packages that came and have to stay, and why.
  returned: always
  type: dict
  sample:
    iptables: ufw needs it
install:
  description:
    - Packages that were removed or brought to another version, as the package manager takes them, with the version
      that was there where it can be had, else without one.
  returned: always
  type: list
  elements: str
  sample: [runc=1.1.5+ds1-1+deb12u1]
back:
  description: The names of those in RV(install) that were removed.
  returned: always
  type: list
  elements: str
  sample: [runc]
unavailable:
  description: Packages among these that no repository of the host has, or not in the version that was there.
  returned: always
  type: list
  elements: str
  sample: [docker-doc 20.10.24+dfsg1-1]
not_asked:
  description: Packages that were there for others' sake only, and are marked as asked for now.
  returned: always
  type: list
  elements: str
  sample: [iptables]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._host_record import (
    HostRecordError,
    close_all,
    load,
    new,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._packages import is_key, way_back
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._state import Host

JOINED_BY = {"deb": "=", "rpm": "-"}


def obtainable(
    wanted: dict[str, str], versions: dict[str, list[str]], joined_by: str, any_version: bool
) -> tuple[list[str], list[str]]:
    """What to install, and what cannot be had as it was."""
    install, unavailable = [], []
    for name, version in wanted.items():
        if version in versions.get(name, []):
            install.append(f"{name}{joined_by}{version}")
            continue
        unavailable.append(f"{name} {version}")
        if any_version and versions.get(name):
            install.append(name)
    return install, unavailable


def run(module: AnsibleModule, host: Host) -> dict[str, t.Any]:
    record = load(module.params["path"])
    closed = close_all(record or new(), host)
    packages = host.packages()
    plan = way_back(closed["packages"], packages, module.params["hold"])
    versions = host.can_be_had({**plan["install"], **plan["move"]})
    lost = {name: version for name, version in plan["install"].items() if not versions[name]}
    # What nobody has any more cannot free what has come in its place.
    able = way_back(closed["packages"], packages, module.params["hold"], lost)
    going = able["remove"] + able["remove_at_last"]
    came = [name for name, entry in closed["units"].items() if entry["before"] is None and host.unit(name)]
    joined_by = JOINED_BY[host.family]
    back, missing = obtainable({**able["install"], **lost}, versions, joined_by, any_version=True)
    moved, stuck = obtainable(able["move"], versions, joined_by, any_version=False)
    return {
        "changed": False,
        "recorded": record is not None,
        "family": host.family,
        "parts": sorted({entry["part"] for name, entry in closed["packages"]["came"].items() if name in packages}),
        "remove": [name for name in able["remove"] if not is_key(name)],
        "remove_at_last": able["remove_at_last"],
        "signing_keys": sorted(filter(is_key, able["remove"])),
        "units": [name for name in came if host.unit_owner(name) in going],
        "held": able["held"],
        "install": back + moved,
        "back": sorted(able["install"]),
        "unavailable": missing + stuck,
        "not_asked": able["not_asked"],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "hold": {"type": "dict", "default": {}},
            "path": {"type": "path", "default": "/var/lib/trtllm/host_record.json"},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module, Host(module))
    except HostRecordError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
