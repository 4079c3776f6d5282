#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_sources

short_description: Clone the sources of a backend release at their commits, large files included

version_added: "0.1.0"

description:
  - Clones the TensorRT-LLM backend at a commit, and checks that the tag still points at it.
  - With O(whole), all submodules are cloned as well, and the objects of git-lfs are fetched; files that remain pointers
    are named, and are an error.
  - Everything happens in O(dest) with C(.partial) appended, and is renamed when it is complete. A run that was ended is
    continued by the next.
  - Git's settings of the user hold, but are not changed; C(git lfs install) writes into settings for the clone alone.

extends_documentation_fragment:
  - tritonops.trtllm.attributes

attributes:
  check_mode:
    support: full
    details:
      - Neither git nor a server is needed for it.
  diff_mode:
    support: full
    details:
      - Shows the record, not the files.
  idempotent:
    support: full

options:
  sources:
    description:
      - What to clone, as C(backend) and C(tensorrt_llm), each with C(repository) (a URL, or the path of a repository on
        the host) and C(commit).
      - C(ref), where it is given, is a tag that must point at the commit, or a branch that must have it.
    type: dict
    required: true
  whole:
    description:
      - Whether to have all submodules and the objects of git-lfs, as building an image needs them.
      - Otherwise TensorRT-LLM is cloned at its commit, without its submodules; that is enough for templates and tools.
    type: bool
    default: false
  mirrors:
    description:
      - Beginnings of URLs, and what to use in their place; for submodules as well.
    type: dict
    default: {}
  dest:
    description:
      - Folder of the clone. Its record is C(artifact.json) in there.
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
- name: Clone what an image is built from
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
    dest: /opt/trtllm/backend/1bfa8ae2e30f5a1c
"""

RETURN = r"""
path:
  description: Where the clone is.
  returned: success
  type: str
  sample: /opt/trtllm/backend/1bfa8ae2e30f5a1c
submodules:
  description: The commit of each submodule, by its path; empty without O(whole).
  returned: success
  type: dict
  sample: {"tensorrt_llm": "250d9c293d5edbc2a45c20775b3150b1eb68b364"}
reason:
  description: Why it had to be cloned; null when it was there.
  returned: success
  type: str
  sample: no artifact at /opt/trtllm/backend/1bfa8ae2e30f5a1c
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
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
    request = SourceRequest(canonical(module.params["sources"]), module.params["whole"], module.params["mirrors"])
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
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot create {module.params['dest']}")


if __name__ == "__main__":
    main()
