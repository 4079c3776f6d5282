#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: serve_release
short_description: Create the release folder of trtllm-serve
version_added: "0.1.0"
description:
  - Creates a folder with the server's configuration C(config.yml), the model as hard links in
    C(models/<model>), a tokenizer of its own in C(tokenizer), and the record C(release.json).
  - A new folder is built in C(<dest>.partial) and renamed, so that O(dest) is always complete.
  - A file that cannot be linked, such as on another file system, is copied.
requirements:
  - PyYAML
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
  dest:
    description:
      - The folder of the release.
    type: path
    required: true
  version:
    description:
      - The TensorRT-LLM version, for the record.
    type: str
    required: true
  weights:
    description:
      - The folder with the model, which must have a C(config.json).
    type: path
    required: true
  model:
    description:
      - The name of the folder of the links, which is the model's name in the API of versions without an option for it.
      - By default that of O(weights).
    type: str
  tokenizer:
    description:
      - The folder with the tokenizer, if it is not that of O(weights).
    type: path
  config:
    description:
      - The content of C(config.yml). C(trust_remote_code) is refused.
    type: dict
    default: {}
  image_digest:
    description:
      - The digest of the image that serves the release, for the record.
    type: str
  manifest:
    description:
      - The inputs of the release, which are recorded.
    type: dict
    default: {}
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - module: tritonops.trtllm.triton_model_repository
"""

EXAMPLES = r"""
- name: Create a release
  tritonops.trtllm.serve_release:
    dest: /opt/trtllm/deployments/default/releases/mine
    version: 1.2.1
    weights: /opt/trtllm/weights/llama
    config:
      kv_cache_config:
        free_gpu_memory_fraction: 0.8
"""

RETURN = r"""
path:
  description: The folder of the release.
  returned: success
  type: str
  sample: /opt/trtllm/deployments/default/releases/mine
changed_files:
  description: The files that differed, relative to the folders that have them.
  returned: success
  type: list
  elements: str
  sample: [config.yml]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._serve_release import ensure_release


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "dest": {"type": "path", "required": True},
            "version": {"type": "str", "required": True},
            "weights": {"type": "path", "required": True},
            "model": {"type": "str"},
            "tokenizer": {"type": "path"},
            "config": {"type": "dict", "default": {}},
            "image_digest": {"type": "str"},
            "manifest": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    run_module(module, ensure_release, f"cannot create {module.params['dest']}")


if __name__ == "__main__":
    main()
