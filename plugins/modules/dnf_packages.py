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

import typing as t

from ansible.module_utils.basic import AnsibleModule, env_fallback
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._dnf import (
    QUERY_FORMAT,
    Change,
    DnfError,
    Package,
    diff,
    options,
    parse_installed,
    parse_transaction,
    remedy,
    unexpected_removals,
)

# Their words are read.
LOCALE = {"LANGUAGE": "C", "LC_ALL": "C"}


def query_installed(module: AnsibleModule) -> list[Package]:
    rpm = module.get_bin_path("rpm", required=True)
    out = module.run_command([rpm, "-qa", "--qf", QUERY_FORMAT], check_rc=True, environ_update=LOCALE)[1]
    return parse_installed(out)


def is_provided(module: AnsibleModule, spec: str) -> bool:
    """Whether an installed package has the file or feature."""
    rpm = module.get_bin_path("rpm", required=True)
    return module.run_command([rpm, "-q", "--whatprovides", spec], environ_update=LOCALE)[0] == 0


def to_ask_for(module: AnsibleModule, installed: list[Package]) -> list[str]:
    """The names that dnf has to be asked about."""
    names: list[str] = module.params["name"]
    state = module.params["state"]
    if state == "latest":
        return names
    there = [spec for spec in names if any(package.matches(spec) for package in installed)]
    if state == "absent":
        return there
    return [spec for spec in names if spec not in there and not is_provided(module, spec)]


class Dnf:
    """One command of dnf, first resolved and then carried out."""

    def __init__(self, module: AnsibleModule, names: list[str]) -> None:
        self.module = module
        self.what = f"{'remove' if module.params['state'] == 'absent' else 'install'} {', '.join(names)}"
        # -y is for the keys of repositories, which are asked about before the transaction.
        self.argv = [module.get_bin_path("dnf", required=True), "-y", *options(module.params)]
        self.command = ["remove" if module.params["state"] == "absent" else "install", *names]

    def run(self, *flags: str) -> tuple[int, str, str]:
        rc, out, err = self.module.run_command([*self.argv, *flags, *self.command], environ_update=LOCALE)
        return rc, out, err.strip()

    def fail(self, out: str, err: str) -> t.NoReturn:
        words = err or out.strip()
        raise DnfError(f"dnf cannot {self.what}: {words}\n{remedy(words)}")

    def resolve(self) -> list[Change]:
        # The answer no ends dnf with an error of its own.
        rc, out, err = self.run("--assumeno")
        if rc != 0 and "Operation aborted" not in err:
            self.fail(out, err)
        return parse_transaction(out)

    def carry_out(self) -> None:
        rc, out, err = self.run()
        if rc != 0:
            self.fail(out, err)


def refuse_removals(module: AnsibleModule, dnf: Dnf, changes: list[Change], installed: list[Package]) -> None:
    allowed = list(module.params["removable"])
    if module.params["state"] == "absent":
        allowed += [package.name for package in installed if any(map(package.matches, module.params["name"]))]
    unwanted = unexpected_removals(changes, allowed)
    if unwanted:
        raise DnfError(
            f"to {dnf.what}, dnf would also have to remove {', '.join(unwanted)}. Nothing was changed."
            " Name these packages in the option 'removable' if they may go."
        )


def run(module: AnsibleModule) -> dict[str, t.Any]:
    installed = query_installed(module)
    names = to_ask_for(module, installed)
    changes: list[Change] = []
    if names:
        dnf = Dnf(module, names)
        changes = dnf.resolve()
        refuse_removals(module, dnf, changes, installed)
        if changes and not module.check_mode:
            dnf.carry_out()
    result: dict[str, t.Any] = {"changed": bool(changes), "transaction": [change._asdict() for change in changes]}
    if module._diff:
        result["diff"] = diff(installed, changes)
    return result


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
    try:
        result = run(module)
    except DnfError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
