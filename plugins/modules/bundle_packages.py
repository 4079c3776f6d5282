#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_packages

short_description: Fetch packages of a distribution with all their dependencies, as a repository

version_added: "0.1.0"

description:
  - Fetches packages of a distribution that the machine need not be, with everything they depend on, and writes a
    repository's index beside them.
  - Nothing is taken for installed, so that what is fetched is enough for the barest host.
  - Signatures are checked while it fetches, by the keys that are given with the repositories and no others.
  - Needs no root.

extends_documentation_fragment:
  - tritonops.trtllm.attributes

attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows what was asked for, not which versions came of it.
  idempotent:
    support: full
    details:
      - Newer versions in the repositories are no reason to fetch again. Remove O(dest) for that.

options:
  system:
    description:
      - The distribution and its release, such as V(debian-12) or V(oraclelinux-9).
    type: str
    required: true
  manager:
    description:
      - The package manager of the distribution.
    type: str
    choices: [apt, dnf]
    required: true
  architecture:
    description:
      - The architecture of the hosts.
    type: str
    choices: [x86_64, aarch64]
    default: x86_64
  packages:
    description:
      - The packages.
    type: list
    elements: str
    required: true
  repositories:
    description:
      - Where they are.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - What to call it.
        type: str
        required: true
      uris:
        description:
          - With O(manager=apt), its address.
        type: str
      suites:
        description:
          - With O(manager=apt), its suites, separated by spaces.
        type: str
      components:
        description:
          - With O(manager=apt), its components, separated by spaces. A flat repository has none.
        type: str
      baseurl:
        description:
          - With O(manager=dnf), its address.
        type: str
      key:
        description:
          - File with the key that it is signed with.
          - Exactly one of this and O(repositories[].key_url) is needed.
        type: path
      key_url:
        description:
          - Where that key was fetched from. It is in O(keys), in a file named by the sha256 of this URL and C(.asc).
        type: str
      signed:
        description:
          - With O(manager=dnf), what of it is signed by the key. Its V(packages) if not given. Where only its
            V(index) is, dnf compares the packages with that.
        type: str
        choices: [packages, index]
  keys:
    description:
      - Folder of fetched keys.
    type: path
  dest:
    description:
      - Folder that will hold the packages, their index and C(artifact.json).
    type: path
    required: true

requirements:
  - for O(manager=apt) C(apt-get) and C(apt-ftparchive) (of C(apt-utils))
  - for O(manager=dnf) C(dnf) 4, C(rpmkeys) and C(createrepo_c)

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.bundle
"""

EXAMPLES = r"""
---
- name: Fetch an engine for Debian 12
  tritonops.trtllm.bundle_packages:
    system: debian-12
    manager: apt
    packages: [docker.io, iptables]
    repositories:
      - name: debian
        uris: http://mirror.example.com/debian
        suites: bookworm bookworm-updates
        components: main
        key: /usr/share/keyrings/debian-archive-keyring.gpg
    dest: /srv/bundle.parts/packages/debian-12
"""

RETURN = r"""
packages:
  description: The packages that are in O(dest), by the names of their files. Empty in check mode before the first run.
  returned: success
  type: list
  elements: str
  sample: [docker.io_20.10.24+dfsg1-1+b3_amd64.deb]
total_size:
  description: Bytes of all files.
  returned: success
  type: int
  sample: 187432112
reason:
  description: Why it was made; null when it was there already.
  returned: success
  type: str
  sample: no artifact at /srv/bundle.parts/packages/debian-12
"""

import hashlib
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._packages import Apt, Dnf, Wanted
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._part import Artifact, have_part, runner

REPOSITORY = {
    "name": {"type": "str", "required": True},
    "uris": {"type": "str"},
    "suites": {"type": "str"},
    "components": {"type": "str"},
    "baseurl": {"type": "str"},
    "key": {"type": "path", "no_log": False},
    "key_url": {"type": "str", "no_log": False},
    "signed": {"type": "str", "choices": ["packages", "index"]},
}


def with_key(repository: dict[str, t.Any], keys: str | None) -> dict[str, t.Any]:
    """The repository with its key as a file; what was not said of it is left out."""
    stated = {name: value for name, value in repository.items() if value is not None}
    if "key" in stated:
        return stated
    name = hashlib.sha256(stated["key_url"].encode("utf-8")).hexdigest()
    return {**stated, "key": os.path.join(keys or "", f"{name}.asc")}


def tell(artifact: Artifact) -> dict[str, t.Any]:
    return {
        "packages": artifact.get("versions", []),
        "total_size": sum(entry["size"] for entry in artifact.get("files", {}).values()),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "system": {"type": "str", "required": True},
            "manager": {"type": "str", "choices": ["apt", "dnf"], "required": True},
            "architecture": {"type": "str", "choices": ["x86_64", "aarch64"], "default": "x86_64"},
            "packages": {"type": "list", "elements": "str", "required": True},
            "repositories": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": REPOSITORY,
                "mutually_exclusive": [("key", "key_url")],
                "required_one_of": [("key", "key_url")],
            },
            "keys": {"type": "path", "no_log": False},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    repositories = [with_key(entry, params["keys"]) for entry in params["repositories"]]
    wanted = Wanted(params["system"], params["architecture"], params["packages"], repositories)
    # Where a key lies is no matter of the packages.
    asked = [{name: value for name, value in entry.items() if name != "key"} for entry in repositories]
    inputs = {**vars(wanted), "packages": sorted(wanted.packages), "repositories": asked}

    def make(draft: Draft) -> dict[str, t.Any]:
        kind = Apt if params["manager"] == "apt" else Dnf
        return kind(wanted, runner(module), module.get_bin_path).make(draft)

    have_part(module, inputs, make, tell)


if __name__ == "__main__":
    main()
