#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_image

short_description: Take an image to an archive that docker load takes

version_added: "0.1.0"

description:
  - Takes an image out of a registry by C(skopeo) where the machine has it, else by its Docker engine; or out of that
    engine; or takes an archive that is there already.
  - The id of the image is recorded. By it M(tritonops.trtllm.trtllm_image) loads it from the archive.

extends_documentation_fragment:
  - tritonops.trtllm.attributes

attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A tag that was moved in the registry is no reason to fetch again. Remove O(dest) for that, or go by digest.

options:
  source:
    description:
      - Where the image is.
    type: str
    choices: [registry, engine, archive]
    required: true
  name:
    description:
      - With O(source=registry), C(repository@sha256:digest) or C(repository:tag). With O(source=engine), what the
        engine of this machine calls it.
    type: str
    default: ''
  archive:
    description:
      - With O(source=archive), the archive of C(docker save) on this machine.
    type: path
  digest:
    description:
      - With O(source=archive), the id of the image in it.
    type: str
  authfile:
    description:
      - File as C(docker login) writes it (C(config.json)), with the registry's credentials.
    type: path
  size:
    description:
      - Bytes that it is known to take, to look for room before anything is fetched.
    type: int
    default: 0
  dest:
    description:
      - Folder that will hold C(image.tar) and C(artifact.json).
    type: path
    required: true

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.bundle
"""

EXAMPLES = r"""
---
- name: Take NGC's image along
  tritonops.trtllm.bundle_image:
    source: registry
    name: nvcr.io/nvidia/tritonserver:25.12-trtllm-python-py3
    dest: /srv/bundle.parts/images/8a6f3c2e1d0b9574
"""

RETURN = r"""
image_id:
  description: The image's id, by which an engine knows it after loading. Null in check mode before the first run.
  returned: success
  type: str
  sample: sha256:7788796a5b4c3d2e1f00f1e2d3c4b5a697887960f1e2d3c4b5a69788796a5b4c
reason:
  description: Why it was made; null when it was there already.
  returned: success
  type: str
  sample: no artifact at /srv/bundle.parts/images/8a6f3c2e1d0b9574
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._image import ImageArchive, ImageSource
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._part import Artifact, have_part, runner


def tell(artifact: Artifact) -> dict[str, t.Any]:
    return {"image_id": artifact.get("image_id")}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "str", "choices": ["registry", "engine", "archive"], "required": True},
            "name": {"type": "str", "default": ""},
            "archive": {"type": "path"},
            "digest": {"type": "str"},
            "authfile": {"type": "path"},
            "size": {"type": "int", "default": 0},
            "dest": {"type": "path", "required": True},
        },
        required_if=[("source", "archive", ["archive", "digest"])],
        supports_check_mode=True,
    )
    params = module.params
    source = ImageSource(**{name: params[name] for name in ("source", "name", "archive", "digest", "authfile", "size")})

    def make(draft: Draft) -> dict[str, t.Any]:
        return ImageArchive(source, runner(module), module.get_bin_path).make(draft)

    have_part(module, source.inputs, make, tell)


if __name__ == "__main__":
    main()
