#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_info

short_description: Find out which artifacts have to be made

version_added: "0.1.0"

description:
  - Checks that artifacts are there, that their files have the recorded sizes, and that Docker has the image. So a play
    can leave out the tasks that would find out the same one after the other.
  - An artifact is identified by the name of its folder, which is the key of its inputs. The content of the files is not
    read.

extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module

options:
  artifacts:
    description:
      - Folders of artifacts, each named after its key.
    type: list
    elements: path
    default: []
  image:
    description:
      - Folder of the record of an image that Docker should have.
    type: path

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.trtllm_image
"""

EXAMPLES = r"""
---
- name: Look for the engine and the image
  tritonops.trtllm.artifact_info:
    artifacts: [/opt/trtllm/engine/c49b01ad7e3f5862]
    image: /opt/trtllm/image/eee77ab62321f276
  register: looked

- name: Build the engine
  ansible.builtin.include_tasks: engine.yml
  when: looked.missing | length > 0
"""

RETURN = r"""
missing:
  description: The artifacts and the image that have to be made or made again, by folder, each with the reason.
  returned: success
  type: dict
  sample:
    /opt/trtllm/engine/c49b01ad7e3f5862: file rank0.engine is missing
image:
  description:
    - What Docker knows the image by, which is its id if it was copied from another host. Empty without O(image), and if
      there is no record.
  returned: success
  type: str
  sample: nvcr.io/nvidia/tritonserver@sha256:88f7f0b1e2c3d4a5968778695a4b3c2d1e0f9e8d7c6b5a49382716051423324a
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    read_artifact,
    reason_unfinished,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._image import recorded_name


def reason_to_fetch(module: AnsibleModule, image: str) -> str | None:
    """Why Docker cannot be said to have the image, in its own words; None if it has it."""
    docker = module.get_bin_path("docker")
    if docker is None:
        return "there is no docker on this host"
    rc, _out, err = module.run_command([docker, "image", "inspect", "--format", "{{.Id}}", image])
    return f"Docker does not have image {image}: {err.strip()}" if rc else None


def look(module: AnsibleModule) -> dict[str, t.Any]:
    folders, record_folder = list(module.params["artifacts"]), module.params["image"]
    image, reasons = "", {}
    if record_folder:
        folders.append(record_folder)
        record = read_artifact(record_folder)
        image = recorded_name(record) if record else ""
        reasons[record_folder] = reason_to_fetch(module, image) if image else f"{record_folder} has no valid image"
    # A record that is missing says more than an image that is.
    reasons.update({folder: reason for folder in folders if (reason := reason_unfinished(folder))})
    missing = {folder: reason for folder, reason in reasons.items() if reason}
    return {"changed": False, "missing": missing, "image": image}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "artifacts": {"type": "list", "elements": "path", "default": []},
            "image": {"type": "path"},
        },
        supports_check_mode=True,
    )
    run_module(module, look, "cannot look for the artifacts")


if __name__ == "__main__":
    main()
