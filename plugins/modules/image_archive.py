#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_archive

short_description: Save an image for other hosts, or load one that another host has saved

version_added: "0.1.0"

description:
  - Saves an image of M(tritonops.trtllm.trtllm_image) or M(tritonops.trtllm.trtllm_image_build) to an archive, so that
    other hosts can copy it with M(tritonops.trtllm.artifact_transfer), and loads it there.
  - The archive has the record of the image. The host that loads it records the image as if it had pulled or built it
    itself, so that neither is needed there.

extends_documentation_fragment:
  - tritonops.trtllm.attributes

attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - Loading an image removes its archive. Without an archive, nothing is loaded.

options:
  dest:
    description:
      - Folder of the archive.
    type: path
    required: true
  image:
    description:
      - Folder of the image's record.
    type: path
    required: true
  state:
    description:
      - V(saved) saves the image of the record in O(image). The archive takes as much space as the image; if there is
        not as much, it is not saved.
      - V(loaded) loads the image, unless Docker has it, creates its record in O(image) and removes the archive.
      - V(absent) removes the archive.
    type: str
    choices: [saved, loaded, absent]
    required: true
  docker_host:
    description:
      - URL of the Docker daemon. The default is the environment variable E(DOCKER_HOST), or the local socket.
    type: str

requirements:
  - docker >= 7.0 (the Docker SDK for Python)

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.artifact_transfer
  - module: tritonops.trtllm.trtllm_image
"""

EXAMPLES = r"""
---
- name: Save the image for the other hosts
  tritonops.trtllm.image_archive:
    state: saved
    dest: /opt/trtllm/archive/8a6f3c2e1d0b9574
    image: /opt/trtllm/image/8a6f3c2e1d0b9574
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python

- name: Load the image that was copied from another host
  tritonops.trtllm.image_archive:
    state: loaded
    dest: /opt/trtllm/archive/8a6f3c2e1d0b9574
    image: /opt/trtllm/image/8a6f3c2e1d0b9574
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python
"""

RETURN = r"""
problem:
  description:
    - Why the image was neither saved nor loaded, although the module did not fail. The host can pull or build it.
    - Empty if there is no problem.
  returned: success
  type: str
  sample: no space left for the archive of …
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import connect
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._image_archive import ImageArchive


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    docker = connect(module, params["docker_host"])
    if docker is None:
        return {"changed": False, "problem": "Docker is not installed yet"}
    archive = ImageArchive(params["dest"], params["image"], docker)
    act = {"saved": archive.save, "loaded": archive.load, "absent": archive.remove}[params["state"]]
    return act(module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "dest": {"type": "path", "required": True},
            "image": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["saved", "loaded", "absent"], "required": True},
            "docker_host": {"type": "str"},
        },
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot create {module.params['dest']}")


if __name__ == "__main__":
    main()
