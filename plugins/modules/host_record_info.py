#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_record_info
short_description: List the packages to remove and to install to restore a host
version_added: "0.1.0"
description:
  - Compares the record of M(tritonops.trtllm.host_record) with the installed packages.
  - Packages that others depend on are not removed.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module
options:
  keep:
    description:
      - Parts of the record that are not restored, each with the reason.
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
- name: List the packages that the collection installed
  tritonops.trtllm.host_record_info:
  register: record

- name: Remove them
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
  description: The kind of packages on the host, V(deb) or V(rpm).
  returned: always
  type: str
  sample: deb
parts:
  description: The parts that have installed packages.
  returned: always
  type: list
  elements: str
  sample: [docker, host_python]
remove:
  description: Packages to remove.
  returned: always
  type: list
  elements: str
  sample: [containerd, docker.io, runc]
remove_later:
  description:
    - Packages that replace some of RV(reinstall). Others depend on one or the other, so they can be removed when these
      are installed again.
  returned: always
  type: list
  elements: str
  sample: [crun]
signing_keys:
  description:
    - Signing keys of repositories to remove, as rpm lists them. M(tritonops.trtllm.host_record) removes them.
  returned: always
  type: list
  elements: str
  sample: [gpg-pubkey-621e9f35-58adea78]
units:
  description: systemd units that were installed with these packages.
  returned: always
  type: list
  elements: str
  sample: [containerd.service, docker.service, docker.socket]
kept:
  description: Packages that were installed and are not removed, and why.
  returned: always
  type: dict
  sample:
    iptables: ufw needs it
install:
  description:
    - Packages that were removed, or whose version was changed, in the form that the package manager uses. They have the
      original version if it is available, and no version otherwise.
  returned: always
  type: list
  elements: str
  sample: [runc=1.1.5+ds1-1+deb12u1]
reinstall:
  description: The names of those in RV(install) that were removed.
  returned: always
  type: list
  elements: str
  sample: [runc]
unavailable:
  description: Packages that are not available from the host's repositories in the original version.
  returned: always
  type: list
  elements: str
  sample: [docker-doc 20.10.24+dfsg1-1]
mark_auto:
  description: Packages that were installed as a dependency and are now marked as manually installed.
  returned: always
  type: list
  elements: str
  sample: [iptables]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._live_host import Host
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._operations import plan_packages


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "keep": {"type": "dict", "default": {}},
            "path": {"type": "path", "default": "/var/lib/trtllm/host_record.json"},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda module: plan_packages(module.params, Host(module)), "cannot read the host record")


if __name__ == "__main__":
    main()
