#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_backend_files

short_description: Copy a folder, such as the model templates, out of a backend image

version_added: "0.1.0"

description:
  - Copies a folder out of an image that Docker has, without running it.
  - The files are written to O(dest) with C(.partial) appended, which is renamed when it is complete.

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
  identity:
    description:
      - The pinned name of the image, if Docker knows it by another one. It identifies the image among the inputs of the
        artifact. By default O(image) does.
    type: str
  path:
    description:
      - Folder in the image. Its last component is its name in O(dest).
    type: str
    required: true
  dest:
    description:
      - Folder for the copy and C(artifact.json).
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
- name: Copy the templates out of the image
  tritonops.trtllm.trtllm_backend_files:
    image: nvcr.io/nvidia/tritonserver@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    path: /app/all_models/inflight_batcher_llm
    dest: /opt/trtllm/backend/77cde23a12854ac8
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python
"""

RETURN = r"""
path:
  description: Path of the copied folder.
  returned: success
  type: str
  sample: /opt/trtllm/backend/77cde23a12854ac8/inflight_batcher_llm
reason:
  description: Why the folder was copied; V(null) if it existed.
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
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    Draft,
    difference,
    ensure,
    read_artifact,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import check_names
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import Docker, load_sdk


def extract(spool: t.IO[bytes], payload: str) -> None:
    """Unpack Docker's tar archive of a folder. All files become readable, whoever owns them in the image."""
    with tarfile.open(fileobj=spool) as archive:
        # Older versions of Python have no filters; the names are checked below in any case.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
        members = [member for member in archive if member.isfile() or member.isdir()]
        files = [member.name for member in members if member.isfile()]
        folders = [member.name for member in members if member.isdir()]
        check_names(files, "the image's archive", folders=folders)
        for member in members:
            member.mode = 0o755 if member.isdir() else 0o644
            archive.extract(member, payload)


def run(module: AnsibleModule) -> dict[str, t.Any]:
    image, path, dest = (module.params[name] for name in ("image", "path", "dest"))
    inputs = {"image": module.params["identity"] or image, "path": path}

    def make(draft: Draft) -> dict[str, t.Any]:
        try:
            sdk = load_sdk()
        except ImportError as exc:
            raise ModuleFailure(missing_required_lib("docker"), exception=traceback.format_exc()) from exc
        progress = draft.begin()
        with tempfile.TemporaryFile() as spool:
            Docker(sdk).copy_out(image, path, spool)
            spool.seek(0)
            extract(spool, draft.payload)
        return draft.publish({"image": image}, progress)

    before = read_artifact(dest)
    outcome = ensure(dest, inputs, make, check_mode=module.check_mode)
    return {
        "changed": outcome.changed,
        "path": os.path.join(dest, os.path.basename(path)),
        "reason": outcome.reason,
        "diff": difference(before, dest, inputs, outcome.reason),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str", "required": True},
            "identity": {"type": "str"},
            "path": {"type": "str", "required": True},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    failure = "cannot copy {path} from {image} to {dest}".format(**module.params)
    run_module(module, run, failure, errors=(OSError, tarfile.TarError))


if __name__ == "__main__":
    main()
