#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: root_folder
short_description: Create the root folder, or remove the files of the collection from it
version_added: "0.1.0"
description:
  - The root folder contains everything that the collection creates on a host. The file C(.trtllm) in it marks it as a
    folder of the collection.
  - With O(state=absent), only names that the collection uses are removed, and in their folders only what has a record
    of the collection. Other files are kept, and returned in RV(left).
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  path:
    description:
      - The root folder, an absolute path.
    type: path
    required: true
  state:
    description:
      - With V(present), the folder is created if it does not exist, and marked if it is empty. System folders and
        folders that contain other files are not marked.
      - With V(absent), the files of the collection are removed. The folder itself is kept. If it is a system folder, or
        is not empty and has no mark, the module fails and removes nothing.
    type: str
    choices: [present, absent]
    default: present
  keep:
    description:
      - With O(state=absent), names in the folder to keep. The mark is kept as long as the folder is not empty.
    type: list
    elements: str
    choices: [image, archive, backend, weights, checkpoint, engine, deployments, venv, logs, secrets]
    default: []
  deployment:
    description:
      - With O(state=absent), only remove this deployment. Weights, checkpoints, engines and images are kept, because
        other deployments may use them.
    type: str
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
---
- name: Create the root folder
  tritonops.trtllm.root_folder:
    path: /opt/trtllm

- name: Remove everything but the weights
  tritonops.trtllm.root_folder:
    path: /opt/trtllm
    state: absent
    keep: [weights]
"""

RETURN = r"""
removed:
  description: Entries of the folder that were removed (in check mode, that would be removed).
  returned: success
  type: list
  elements: str
  sample: [/opt/trtllm/engine, /opt/trtllm/.trtllm]
left:
  description: Paths that do not belong to the collection and were kept.
  returned: success
  type: list
  elements: str
  sample: [/opt/trtllm/weights/my-model, /opt/trtllm/notes.txt]
images:
  description:
    - With O(state=absent), the images of the records in the folder. Images that were pulled, loaded or built also have
      C(image_id); those of an interrupted run only have C(image).
  returned: success
  type: list
  elements: dict
  sample: [{"image": "registry.example.com/tritonserver@sha256:0123", "image_id": "sha256:4567"}]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import is_deployment_name
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import (
    KEEPABLE,
    Removal,
    claim,
    remove_deployment,
    remove_ours,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._timeout import check_responds


def remove(module: AnsibleModule) -> Removal:
    path, name = module.params["path"], module.params["deployment"]
    if name is None:
        return remove_ours(path, module.params["keep"], module.check_mode)
    if not is_deployment_name(name):
        raise ModuleFailure(f"{name!r} is not the name of a deployment")
    return remove_deployment(path, name, module.check_mode)


def run(module: AnsibleModule) -> dict[str, t.Any]:
    check_responds(module, module.params["path"])
    if module.params["state"] == "present":
        removal, changed = Removal(), claim(module.params["path"], module.check_mode)
    else:
        removal = remove(module)
        changed = bool(removal.removed)
    return {"changed": changed, "removed": removal.removed, "left": removal.left, "images": removal.images}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "keep": {"type": "list", "elements": "str", "choices": list(KEEPABLE), "default": []},
            "deployment": {"type": "str"},
        },
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot change {module.params['path']}")


if __name__ == "__main__":
    main()
