#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_sources

short_description: Clone the sources of a TensorRT-LLM version at pinned commits, with git-lfs objects

version_added: "0.1.0"

description:
  - Clones the TensorRT-LLM backend at a commit, and checks that its tag still points to it.
  - With O(whole), all submodules are cloned, too, and the objects of git-lfs are downloaded. The module fails if files
    are still pointers after that, and names them.
  - The clone is created in O(dest) with C(.partial) appended, which is renamed when it is complete. The next run
    continues an interrupted one.
  - The user's Git settings are used, but not changed; C(git lfs install) only changes settings of the clone.

extends_documentation_fragment:
  - tritonops.trtllm.attributes

attributes:
  check_mode:
    support: full
    details:
      - It needs neither git nor a network.
  diff_mode:
    support: full
    details:
      - Shows the record, not the files.
  idempotent:
    support: full

options:
  sources:
    description:
      - The repositories C(backend) and C(tensorrt_llm), each with C(repository) (a URL, or a path on the host) and
        C(commit).
      - C(ref) is optional. It is a tag that must point to the commit, or a branch that must contain it.
    type: dict
    required: true
  whole:
    description:
      - Whether to include all submodules and the objects of git-lfs, which are needed to build an image.
      - Otherwise TensorRT-LLM is cloned without its submodules, which is sufficient for templates and tools.
    type: bool
    default: false
  mirrors:
    description:
      - URL prefixes and their replacements, which are also used for submodules.
    type: dict
    default: {}
  auth:
    description:
      - Credentials for private repositories, which are kept in memory and not stored.
      - Either lines such as V(https://user:password@host), as C(git credential-store) writes them, or the content of a
        netrc file. The credential helpers of the user's Git settings are not used then.
    type: str
  dest:
    description:
      - Folder for the clone and its record, C(artifact.json).
    type: path
    required: true

requirements:
  - git >= 2.32
  - git-lfs, with O(whole)

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.trtllm_image_build
"""

EXAMPLES = r"""
---
- name: Clone the sources of an image
  tritonops.trtllm.trtllm_sources:
    sources:
      backend:
        repository: https://github.com/triton-inference-server/tensorrtllm_backend.git
        ref: v0.9.0
        commit: 76464e9be06600f3979acad9c14857938a66ff9f
      tensorrt_llm:
        repository: https://github.com/NVIDIA/TensorRT-LLM.git
        commit: 250d9c293d5edbc2a45c20775b3150b1eb68b364
    whole: true
    mirrors:
      https://github.com/: https://git.example.com/github/
    auth: "{{ lookup('ansible.builtin.file', '~/.config/git_login') }}"
    dest: /opt/trtllm/backend/1bfa8ae2e30f5a1c
  vars:
    ansible_pipelining: true
"""

RETURN = r"""
path:
  description: Path of the clone, O(dest).
  returned: success
  type: str
  sample: /opt/trtllm/backend/1bfa8ae2e30f5a1c
submodules:
  description: The commit of each submodule, by its path; empty without O(whole).
  returned: success
  type: dict
  sample: {"tensorrt_llm": "250d9c293d5edbc2a45c20775b3150b1eb68b364"}
reason:
  description: Why the sources had to be cloned; V(null) if they existed.
  returned: success
  type: str
  sample: no artifact at /opt/trtllm/backend/1bfa8ae2e30f5a1c
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils._secrets import refuse_login
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    canonical,
    difference,
    ensure,
    read_artifact,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.backend._sources import (
    SourceRequest,
    check_sources,
    make_sources,
)


def run(module: AnsibleModule) -> dict[str, t.Any]:
    dest = module.params["dest"]
    options = {name: module.params[name] for name in ("whole", "mirrors", "auth")}
    request = SourceRequest(canonical(module.params["sources"]), **options)
    refuse_login(module, "sources")
    refuse_login(module, "mirrors")
    before = read_artifact(dest)
    check_sources(request.sources)
    outcome = ensure(
        dest, request.inputs, lambda draft: make_sources(request, module, draft), check_mode=module.check_mode
    )
    return {
        "changed": outcome.changed,
        "path": dest,
        "submodules": (outcome.artifact or {}).get("submodules", {}),
        "reason": outcome.sentence,
        "diff": difference(before, dest, request.inputs, outcome.reason),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "sources": {"type": "dict", "required": True},
            "whole": {"type": "bool", "default": False},
            "mirrors": {"type": "dict", "default": {}},
            "auth": {"type": "str", "no_log": True},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot create {module.params['dest']}")


if __name__ == "__main__":
    main()
