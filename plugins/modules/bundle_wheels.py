#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_wheels

short_description: Fetch the wheels of a requirements file for several Pythons

version_added: "0.1.0"

description:
  - Fetches wheels, each checked by its hash, for versions of Python that the machine need not have.
  - Pip's own settings on the machine, such as a proxy or a mirror, are honoured.

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
  requirements:
    description:
      - The requirements file's content, every requirement with its hashes.
    type: str
    required: true
  pythons:
    description:
      - The versions of Python, such as V(3.11).
    type: list
    elements: str
    required: true
  architecture:
    description:
      - The architecture of the hosts.
    type: str
    choices: [x86_64, aarch64]
    default: x86_64
  dest:
    description:
      - Folder that will hold the wheels and C(artifact.json).
    type: path
    required: true

requirements:
  - pip
  - packaging

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.bundle
"""

EXAMPLES = r"""
---
- name: Fetch what hosts with Debian 12 and Enterprise Linux 9 need
  tritonops.trtllm.bundle_wheels:
    requirements: "{{ lookup('ansible.builtin.file', 'requirements.txt') }}"
    pythons: ["3.11", "3.9"]
    dest: /srv/bundle.parts/wheels
"""

RETURN = r"""
wheels:
  description: The wheels. Empty in check mode before the first run.
  returned: success
  type: list
  elements: str
  sample: [requests-2.32.5-py3-none-any.whl]
reason:
  description: Why it was made; null when it was there already.
  returned: success
  type: str
  sample: no artifact at /srv/bundle.parts/wheels
"""

import hashlib
import sys
import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._part import Artifact, have_part, runner
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._wheels import pip_download, requirements_for

try:
    from packaging.requirements import Requirement

    PACKAGING_ERROR = None
except ImportError:
    PACKAGING_ERROR = traceback.format_exc()


def fetch(module: AnsibleModule, draft: Draft) -> dict[str, t.Any]:
    if PACKAGING_ERROR:
        module.fail_json(msg=missing_required_lib("packaging"), exception=PACKAGING_ERROR)
    params, run = module.params, runner(module)
    progress = draft.begin(keep=True)
    progress.start("wheels", total=len(params["pythons"]), unit="Pythons")
    for python in params["pythons"]:
        chosen = draft.path(f"requirements-{python}.txt")
        with open(chosen, "w", encoding="utf-8") as stream:
            stream.write(requirements_for(params["requirements"], python, params["architecture"], Requirement))
        command = pip_download(sys.executable, python, params["architecture"], chosen, draft.payload)
        run(command, f"cannot fetch the wheels for Python {python}")
        progress.advance(1)
    return draft.publish({}, progress)


def tell(artifact: Artifact) -> dict[str, t.Any]:
    return {"wheels": sorted(artifact.get("files", {}))}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "requirements": {"type": "str", "required": True},
            "pythons": {"type": "list", "elements": "str", "required": True},
            "architecture": {"type": "str", "choices": ["x86_64", "aarch64"], "default": "x86_64"},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    inputs = {
        "requirements": hashlib.sha256(params["requirements"].encode("utf-8")).hexdigest(),
        "pythons": sorted(params["pythons"]),
        "architecture": params["architecture"],
    }
    have_part(module, inputs, lambda draft: fetch(module, draft), tell)


if __name__ == "__main__":
    main()
