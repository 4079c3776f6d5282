#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dnf_packages
short_description: Install and remove packages by the command line of dnf
version_added: "0.1.0"
description:
  - Has packages in or out with dnf's and rpm's own programs. M(ansible.builtin.dnf) needs dnf's Python bindings for a
    Python that ansible-core runs on; Enterprise Linux 8 has them for Python 3.6 only, which is too old.
  - Every transaction is resolved before it is carried out. One that would remove what O(removable) does not allow is
    refused, and nothing is changed then.
  - Needs dnf 4, as Enterprise Linux 8 to 10 have it.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
    details:
      - The transaction is resolved and not carried out. Lists of packages that are out of date are fetched for that.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description:
      - Packages, as dnf takes them. A name, V(name-version), V(name-version-release), each with an epoch and an
        architecture if you like, also as a pattern such as V(docker-ce-28.5.*). A file or anything else that a package
        provides will do.
      - A version that is older than the installed one is installed in its place.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(present) installs what is missing and leaves alone what is there in any version that fits O(name).
      - V(latest) also brings the others up to date.
      - V(absent) removes them. Dependencies that nobody needs any more stay.
    type: str
    choices: [present, latest, absent]
    default: present
  removable:
    description:
      - Names of packages, or patterns, that may be removed because something else cannot be installed beside them,
        or because they cannot stay without what is removed. V(*) for all.
      - Only with this does dnf consider removing anything to solve a conflict (C(--allowerasing)).
    type: list
    elements: str
    default: []
  nobest:
    description:
      - Take an older version where the newest cannot be installed.
    type: bool
    default: false
  install_weak_deps:
    description:
      - Install what packages only recommend, too.
    type: bool
    default: true
  refresh:
    description:
      - Fetch the lists of packages even if they are not out of date.
    type: bool
    default: false
  reposdir:
    description:
      - Folders with the definitions of repositories to use in place of the host's own.
      - If not given, the environment variable E(TRITONOPS_DNF_REPOSDIR), which a play can set for all its tasks.
    type: list
    elements: path
    default: []
  disablerepo:
    description:
      - Repositories not to use, by id or pattern.
    type: list
    elements: str
    default: []
  enablerepo:
    description:
      - Repositories to use although they are not enabled, by id or pattern.
    type: list
    elements: str
    default: []
seealso:
  - module: ansible.builtin.dnf
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Have Docker's engine, in place of the distribution's runc
  tritonops.trtllm.dnf_packages:
    name: [docker-ce-28.5.*, docker-ce-cli-28.5.*, containerd.io]
    removable: [runc, podman-docker]

- name: Install git from a folder of packages and nothing else
  tritonops.trtllm.dnf_packages:
    name: git
    reposdir: /srv/bundle/yum.repos.d
"""

RETURN = r"""
transaction:
  description: What was done (in check mode, what would be).
  returned: always
  type: list
  elements: dict
  sample:
    - action: install
      arch: x86_64
      evr: 3:28.5.1-1.el9
      name: docker-ce
"""

from ansible.module_utils.basic import AnsibleModule, env_fallback
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._dnf import ensure_packages


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "latest", "absent"], "default": "present"},
            "removable": {"type": "list", "elements": "str", "default": []},
            "nobest": {"type": "bool", "default": False},
            "install_weak_deps": {"type": "bool", "default": True},
            "refresh": {"type": "bool", "default": False},
            "reposdir": {
                "type": "list",
                "elements": "path",
                "default": [],
                "fallback": (env_fallback, ["TRITONOPS_DNF_REPOSDIR"]),
            },
            "disablerepo": {"type": "list", "elements": "str", "default": []},
            "enablerepo": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    run_module(module, ensure_packages, "cannot run dnf")


if __name__ == "__main__":
    main()
