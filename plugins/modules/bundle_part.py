#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_part

short_description: Download a part of a bundle

version_added: "0.1.0"

description:
  - Downloads one part of a bundle. M(tritonops.trtllm.bundle) assembles a bundle from parts.
  - The machine need not have the distribution, Python version or architecture of the hosts.

extends_documentation_fragment:
  - tritonops.trtllm.attributes

attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the options that identify the part, not the downloaded versions.
  idempotent:
    support: full
    details:
      - A part is not downloaded again if an image tag was moved or a repository has newer packages. Remove O(dest) to
        download it again.

options:
  kind:
    description:
      - The kind of part. The option of the same name describes the part.
    type: str
    choices: [image, packages, sources, wheels]
    required: true
  dest:
    description:
      - Folder for the part and its record, C(artifact.json).
    type: path
    required: true
  image:
    description:
      - An image, as the archive C(image.tar) for C(docker load). M(tritonops.trtllm.trtllm_image) loads it by its id.
      - Required for O(kind=image).
    type: dict
    suboptions:
      source:
        description:
          - Where the image is.
          - V(registry) is a registry. The image is downloaded with C(skopeo), or with Docker if C(skopeo) is not
            installed.
          - V(docker) is Docker on this machine.
          - V(archive) is an archive on this machine, as written by C(docker save).
        type: str
        choices: [registry, docker, archive]
        required: true
      name:
        description:
          - For O(image.source=registry), C(repository@sha256:digest) or C(repository:tag). For O(image.source=docker),
            the image's name in Docker.
        type: str
        default: ''
      archive:
        description:
          - The archive. Required for O(image.source=archive).
        type: path
      digest:
        description:
          - The id of the image in the archive. Required for O(image.source=archive).
        type: str
      authfile:
        description:
          - File with the registry's credentials, as written by C(docker login) (C(config.json)).
        type: path
      size:
        description:
          - Expected size in bytes. If the disk has less free space, nothing is downloaded.
        type: int
        default: 0
  packages:
    description:
      - Packages of a distribution with all their dependencies, as a package repository. The machine can run another
        distribution. Root is not required.
      - No package counts as installed, so that the repository is sufficient for a minimal host.
      - Signatures are verified during the download, only with the keys that are set for the repositories.
      - Required for O(kind=packages).
    type: dict
    suboptions:
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
          - Processor architecture of the hosts.
        type: str
        choices: [x86_64, aarch64]
        default: x86_64
      packages:
        description:
          - Names of the packages.
        type: list
        elements: str
        required: true
      repositories:
        description:
          - The repositories to download from.
        type: list
        elements: dict
        required: true
        suboptions:
          name:
            description:
              - Name of the repository.
            type: str
            required: true
          uris:
            description:
              - URL of the repository, for O(packages.manager=apt).
            type: str
          suites:
            description:
              - Suites, separated by spaces, for O(packages.manager=apt).
            type: str
          components:
            description:
              - Components, separated by spaces, for O(packages.manager=apt). A flat repository has none.
            type: str
          baseurl:
            description:
              - URL of the repository, for O(packages.manager=dnf).
            type: str
          key:
            description:
              - File with the key that signs the repository.
              - Set either this or O(packages.repositories[].key_url).
            type: path
          key_url:
            description:
              - URL that the key was downloaded from. The key is in O(packages.keys), in a file named after the sha256
                of this URL, with the suffix C(.asc).
            type: str
          signed:
            description:
              - What the key signs, for O(packages.manager=dnf). The default is V(packages).
              - If only the V(index) of the repository is signed, dnf compares the packages with it.
            type: str
            choices: [packages, index]
      keys:
        description:
          - Folder with the downloaded keys.
        type: path
  sources:
    description:
      - One commit of a git repository with its git-lfs objects, as a bare repository that can be cloned by its path.
      - The bare repository contains the history of the commit. If the server does not allow fetching a single commit,
        it contains all branches and tags.
      - Git uses the user's settings, but never asks for a password.
      - Required for O(kind=sources).
    type: dict
    suboptions:
      repository:
        description:
          - URL of the repository.
        type: str
        required: true
      commit:
        description:
          - The commit, as 40 hexadecimal digits.
        type: str
        required: true
      ref:
        description:
          - A tag to create for the commit.
        type: str
        default: ''
      name:
        description:
          - Name of the bare repository in O(dest), without C(.git).
        type: str
        required: true
      auth:
        description:
          - Credentials for a private repository, as for O(tritonops.trtllm.trtllm_sources#module:auth).
        type: str
  wheels:
    description:
      - Wheels of Python packages, each verified by its hash. The machine does not need the Python versions.
      - pip's settings on the machine, such as a proxy or a mirror, apply.
      - Required for O(kind=wheels).
    type: dict
    suboptions:
      requirements:
        description:
          - Content of the requirements file, with hashes for every requirement.
        type: str
        required: true
      pythons:
        description:
          - Python versions of the hosts, such as V(3.11).
        type: list
        elements: str
        required: true
      architecture:
        description:
          - Processor architecture of the hosts.
        type: str
        choices: [x86_64, aarch64]
        default: x86_64

requirements:
  - "for O(kind=image): C(skopeo) or Docker, unless O(image.source=archive)"
  - "for O(packages.manager=apt): C(apt-get), and C(apt-ftparchive) from C(apt-utils)"
  - "for O(packages.manager=dnf): C(dnf) 4, C(rpmkeys) and C(createrepo_c)"
  - "for O(kind=sources): git >= 2.32, and git-lfs for repositories with large files"
  - "for O(kind=wheels): pip and packaging"

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.bundle
"""

EXAMPLES = r"""
---
- name: Download the image from NGC
  tritonops.trtllm.bundle_part:
    kind: image
    dest: /srv/bundle.parts/images/8a6f3c2e1d0b9574
    image:
      source: registry
      name: nvcr.io/nvidia/tritonserver:25.12-trtllm-python-py3

- name: Download Docker for Debian 12
  tritonops.trtllm.bundle_part:
    kind: packages
    dest: /srv/bundle.parts/packages/debian-12
    packages:
      system: debian-12
      manager: apt
      packages: [docker.io, iptables]
      repositories:
        - name: debian
          uris: http://mirror.example.com/debian
          suites: bookworm bookworm-updates
          components: main
          key: /usr/share/keyrings/debian-archive-keyring.gpg

- name: Fetch the sources of the backend's templates
  tritonops.trtllm.bundle_part:
    kind: sources
    dest: /srv/bundle.parts/sources/backend
    sources:
      repository: https://github.com/triton-inference-server/tensorrtllm_backend.git
      commit: 76464e9be06600f3979acad9c14857938a66ff9f
      name: backend

- name: Download wheels for hosts with Debian 12 and Enterprise Linux 9
  tritonops.trtllm.bundle_part:
    kind: wheels
    dest: /srv/bundle.parts/wheels
    wheels:
      requirements: "{{ lookup('ansible.builtin.file', 'requirements.txt') }}"
      pythons: ["3.11", "3.9"]
"""

RETURN = r"""
reason:
  description: Why the part was made; null if it was up to date.
  returned: success
  type: str
  sample: no artifact at /srv/bundle.parts/packages/debian-12
total_size:
  description: Size of all files in bytes. Zero in check mode if the part is not up to date.
  returned: success
  type: int
  sample: 187432112
image_id:
  description: The id of the loaded image in Docker. Null in check mode if the part is not up to date.
  returned: for O(kind=image)
  type: str
  sample: sha256:7788796a5b4c3d2e1f00f1e2d3c4b5a697887960f1e2d3c4b5a69788796a5b4c
packages:
  description: File names of the packages. Empty in check mode if the part is not up to date.
  returned: for O(kind=packages)
  type: list
  elements: str
  sample: [docker.io_20.10.24+dfsg1-1+b3_amd64.deb]
wheels:
  description: File names of the wheels. Empty in check mode if the part is not up to date.
  returned: for O(kind=wheels)
  type: list
  elements: str
  sample: [requests-2.32.5-py3-none-any.whl]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils._secrets import refuse_login
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    difference,
    ensure,
    read_artifact,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle import _image, _packages, _sources, _wheels

KINDS = {"image": _image.KIND, "packages": _packages.KIND, "sources": _sources.KIND, "wheels": _wheels.KIND}


def make_part(module: AnsibleModule) -> dict[str, t.Any]:
    name, dest = module.params["kind"], module.params["dest"]
    kind, options = KINDS[name], module.params[name]
    refuse_login(module, name, but="auth")
    inputs = kind.inputs(options)
    before = read_artifact(dest)
    outcome = ensure(dest, inputs, lambda draft: kind.make(options, module, draft), check_mode=module.check_mode)
    is_predicted = outcome.changed and module.check_mode
    record = {} if is_predicted else outcome.artifact or {}
    return {
        "changed": outcome.changed,
        "reason": outcome.sentence,
        "total_size": sum(entry["size"] for entry in record.get("files", {}).values()),
        "diff": difference(before, dest, inputs, outcome.reason),
        **kind.results(record),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kind": {"type": "str", "choices": list(KINDS), "required": True},
            "dest": {"type": "path", "required": True},
            **{name: kind.spec for name, kind in KINDS.items()},
        },
        required_if=[("kind", name, [name]) for name in KINDS],
        mutually_exclusive=[tuple(KINDS)],
        supports_check_mode=True,
    )
    run_module(module, make_part, f"cannot create {module.params['dest']}")


if __name__ == "__main__":
    main()
