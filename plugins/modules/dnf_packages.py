#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dnf_packages
short_description: Install and remove packages with the command line of dnf
version_added: "0.1.0"
description:
  - Installs and removes packages by calling C(dnf) and C(rpm). M(ansible.builtin.dnf) needs dnf's Python bindings for
    the Python that it runs on. Enterprise Linux 8 only has them for Python 3.6, which is too old for ansible-core.
  - Every transaction is resolved before it is run. If it would remove packages that O(removable) does not allow, the
    module fails and nothing is changed.
  - Requires dnf 4, which Enterprise Linux 8 to 10 have.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
    details:
      - The transaction is resolved, but not run. Outdated package lists are downloaded for that.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description:
      - Packages as C(dnf install) accepts them. That is a name, V(name-version) or V(name-version-release), optionally
        with an epoch and an architecture, or a pattern such as V(docker-ce-28.5.*). Files and other things that
        packages provide are also accepted.
      - If the given version is older than the installed one, the package is downgraded.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(present) installs missing packages. Installed ones that match O(name) are kept in their version.
      - V(latest) also updates installed packages.
      - V(absent) removes the packages. Dependencies that are no longer needed are kept.
    type: str
    choices: [present, latest, absent]
    default: present
  removable:
    description:
      - Names or patterns of packages that may be removed because they conflict with a package to install, or depend on
        a package to remove. Use V(*) for all.
      - If it is set, dnf may remove packages to resolve conflicts (C(--allowerasing)).
    type: list
    elements: str
    default: []
  nobest:
    description:
      - Whether to install an older version if the newest one cannot be installed.
    type: bool
    default: false
  install_weak_deps:
    description:
      - Whether to install recommended packages, too.
    type: bool
    default: true
  refresh:
    description:
      - Whether to download the package lists even if they are not outdated.
    type: bool
    default: false
  reposdir:
    description:
      - Folders with repository definitions to use instead of the host's own.
      - The default is the environment variable E(TRITONOPS_DNF_REPOSDIR), which a play can set for all its tasks.
    type: list
    elements: path
    default: []
  disablerepo:
    description:
      - IDs or patterns of repositories to disable.
    type: list
    elements: str
    default: []
  enablerepo:
    description:
      - IDs or patterns of repositories to enable.
    type: list
    elements: str
    default: []
  lock_timeout:
    description:
      - Seconds to wait for a lock that another process holds, such as an automatic update.
    type: int
    default: 600
seealso:
  - module: ansible.builtin.dnf
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Install Docker, and remove the distribution's runc
  tritonops.trtllm.dnf_packages:
    name: [docker-ce-28.5.*, docker-ce-cli-28.5.*, containerd.io]
    removable: [runc, podman-docker]

- name: Install git, using only the repositories of a folder
  tritonops.trtllm.dnf_packages:
    name: git
    reposdir: /srv/bundle/yum.repos.d
"""

RETURN = r"""
transaction:
  description: The changes that were made (in check mode, that would be made).
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
            "lock_timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    run_module(module, ensure_packages, "cannot run dnf")


if __name__ == "__main__":
    main()
