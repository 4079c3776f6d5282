#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_backend_files

short_description: Take a folder, such as the model templates, out of a backend image

version_added: "0.1.0"

description:
  - Copies a folder out of an image that Docker has, without running the image.
  - Everything happens in O(dest) with C(.partial) appended, and is renamed when it is complete.

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
  image:
    description:
      - The image, pinned as C(repository@sha256:digest) or C(sha256:id).
    type: str
    required: true
  path:
    description:
      - Folder in the image. Its last part is its name in O(dest).
    type: str
    required: true
  dest:
    description:
      - Folder that will hold it, beside C(artifact.json).
    type: path
    required: true

requirements:
  - docker (the Docker SDK for Python)

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.trtllm_image
  - module: tritonops.trtllm.triton_model_repository
"""

EXAMPLES = r"""
---
- name: Take the templates out of the image
  tritonops.trtllm.trtllm_backend_files:
    image: nvcr.io/nvidia/tritonserver@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    path: /app/all_models/inflight_batcher_llm
    dest: /opt/trtllm/backend/77cde23a12854ac8
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python
"""

RETURN = r"""
path:
  description: Where the folder is.
  returned: success
  type: str
  sample: /opt/trtllm/backend/77cde23a12854ac8/inflight_batcher_llm
reason:
  description: Why it was taken out of the image; null when it was there already.
  returned: success
  type: str
  sample: no artifact at /opt/trtllm/backend/77cde23a12854ac8
"""

import os
import tarfile
import tempfile
import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    ArtifactError,
    Draft,
    difference,
    ensure,
    read_artifact,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import check_names
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import Docker, load_sdk


def extract(spool: t.IO[bytes], payload: str) -> None:
    """Unpack the engine's tar of a folder; templates are data, readable whoever owned them in the image."""
    with tarfile.open(fileobj=spool) as archive:
        # Older Pythons have no filters; what they would refuse is refused below for all of them.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
        members = [member for member in archive if member.isfile() or member.isdir()]
        files = [member.name for member in members if member.isfile()]
        folders = [member.name for member in members if member.isdir()]
        check_names(files, "the image's archive", folders=folders)
        for member in members:
            member.mode = 0o755 if member.isdir() else 0o644
            archive.extract(member, payload)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str", "required": True},
            "path": {"type": "str", "required": True},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    image, path, dest = (module.params[name] for name in ("image", "path", "dest"))
    inputs = {"image": image, "path": path}

    def make(draft: Draft) -> dict[str, t.Any]:
        try:
            sdk = load_sdk()
        except ImportError:
            module.fail_json(msg=missing_required_lib("docker"), exception=traceback.format_exc())
        progress = draft.begin()
        with tempfile.TemporaryFile() as spool:
            Docker(sdk).copy_out(image, path, spool)
            spool.seek(0)
            extract(spool, draft.payload)
        return draft.publish({"image": image}, progress)

    before = read_artifact(dest)
    try:
        outcome = ensure(dest, inputs, make, check_mode=module.check_mode)
    except ArtifactError as exc:
        module.fail_json(msg=str(exc))
    except (OSError, tarfile.TarError) as exc:
        module.fail_json(msg=f"cannot take {path} out of {image} to {dest}: {exc}")
    module.exit_json(
        changed=outcome.changed,
        path=os.path.join(dest, os.path.basename(path)),
        reason=outcome.reason,
        diff=difference(before, dest, inputs, outcome.reason),
    )


if __name__ == "__main__":
    main()
