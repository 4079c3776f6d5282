#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hf_snapshot

short_description: Have a model's files on the host, at a pinned revision

version_added: "0.1.0"

description:
  - Fetches the safetensors weights, the tokenizer and the configuration of a Hugging Face model repository with
    C(huggingface_hub), and checks size and digest of every file itself against what the hub says.
  - Everything happens in O(dest) with C(.partial) appended, and is renamed when it is complete; an interrupted
    download goes on where it broke off.
  - Source can be the hub, a mirror of it, what is on the host already (O(offline=true)), or a folder (O(src)).

extends_documentation_fragment:
  - tritonops.trtllm.attributes

attributes:
  check_mode:
    support: full
    details:
      - The hub is asked as in a real run, so that a refused token or a wrong revision shows.
      - Without C(huggingface_hub) on the host, or without the file O(token_file), only O(dest) is looked at.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A branch or tag as O(revision) is resolved in every run and may have moved; a commit cannot.

options:
  repository:
    description:
      - Repository of the model on the hub, as V(organisation/name).
      - Required unless O(src) is given.
    type: str
  revision:
    description:
      - A commit (40 hexadecimal digits) is recommended; a branch or a tag is resolved to one.
    type: str
    default: main
  dest:
    description:
      - Folder that will hold the model's files and C(artifact.json).
    type: path
    required: true
  src:
    description:
      - Folder on the host to copy the files from, instead of a hub.
    type: path
  endpoint:
    description:
      - URL of the hub or of a mirror of it.
    type: str
    default: https://huggingface.co
  offline:
    description:
      - Use no network, only what is in O(dest), in its C(.partial) folder or in O(cache_dir).
    type: bool
    default: false
  cache_dir:
    description:
      - A cache of C(huggingface_hub) on the host to take files from. Nothing is written to it.
      - If not given, that is the library's own default, C(~/.cache/huggingface/hub).
    type: path
  token_file:
    description:
      - File on the host that holds the token for private and gated models.
      - If not given, the environment variable E(HF_TOKEN) of the module is used. Prefer the file, for Ansible puts
        a task's C(environment) on command lines.
    type: path
  allow_patterns:
    description:
      - Files to fetch, as shell patterns; C(*) also matches C(/).
      - If not given, safetensors weights, tokenizer and configuration.
    type: list
    elements: str
  ignore_patterns:
    description:
      - Files not to fetch, of those that O(allow_patterns) names.
      - If not given, the same weights in other formats, such as V(*.bin), V(*.pt), V(*.gguf) and V(original/*).
    type: list
    elements: str
  ca_bundle:
    description:
      - File on the host with the certificates of the authorities to trust, in place of the built-in ones.
    type: path
  max_workers:
    description:
      - Number of files to fetch at the same time.
    type: int
    default: 4
  verify:
    description:
      - Hash the files of a finished O(dest) again, instead of looking at names and sizes only.
    type: bool
    default: false

requirements:
  - huggingface_hub >= 1.0 (not for O(src))

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.trtllm_checkpoint
"""

EXAMPLES = r"""
---
- name: Fetch a gated model at a commit
  tritonops.trtllm.hf_snapshot:
    repository: mistralai/Mixtral-8x7B-Instruct-v0.1
    revision: 1e637f2d7cb0a9d6fb1922f305cb784995190a83
    dest: /opt/trtllm/weights/mixtral
    token_file: /opt/trtllm/secrets/hf_token
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python

- name: Take a model from a folder of the host
  tritonops.trtllm.hf_snapshot:
    src: /srv/models/mixtral
    dest: /opt/trtllm/weights/mixtral
"""

RETURN = r"""
path:
  description: The folder with the model's files, O(dest).
  returned: success
  type: str
  sample: /opt/trtllm/weights/3f2a9c0d1b7e4865
commit:
  description: The commit that O(revision) stands for; null for a folder (O(src)).
  returned: success
  type: str
  sample: 1e637f2d7cb0a9d6fb1922f305cb784995190a83
files:
  description: Names of the files. Empty in check mode when they are yet to be fetched.
  returned: success
  type: list
  elements: str
  sample: [config.json, model.safetensors, tokenizer.json]
total_size:
  description: Bytes of all files.
  returned: success
  type: int
  sample: 269060552
downloaded:
  description: Bytes that this run has fetched; less than RV(total_size) when an earlier run was gone on with.
  returned: success
  type: int
  sample: 269060552
reason:
  description: Why the files had to be fetched; null when they were there.
  returned: success
  type: str
  sample: "no artifact at /opt/trtllm/weights/3f2a9c0d1b7e4865"
artifact:
  description: Content of C(artifact.json), with size and SHA-256 of each file; null when there is none yet.
  returned: success
  type: dict
  sample: {"key": "3f2a9c0d1b7e4865", "duration_seconds": 41.3}
"""

import os
import traceback

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.weights._hf_hub import (
    DEFAULT_ALLOW,
    DEFAULT_ENDPOINT,
    DEFAULT_IGNORE,
    HubError,
    load_library,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.weights._weights import (
    FolderSource,
    HubSource,
    OfflineSource,
    PredictedSource,
    Request,
    Source,
    snapshot,
)


def read_token(module: AnsibleModule) -> str | None:
    """The token of the file or else of the environment, hidden from all output."""
    path = module.params["token_file"]
    if path is None:
        token = os.environ.get("HF_TOKEN", "").strip()
    else:
        try:
            with open(path, encoding="utf-8") as stream:
                token = stream.read().strip()
        except OSError as exc:
            raise HubError(f"cannot read the token: {exc}; put it there, or correct token_file") from exc
        if not token:
            raise HubError(f"the file {path} (token_file) is empty: put the token there, or leave token_file out")
    if token:
        module.no_log_values.add(token)
    return token or None


def request_of(module: AnsibleModule) -> Request:
    params = module.params
    names = ("dest", "repository", "revision", "src", "endpoint", "offline", "cache_dir", "max_workers", "verify")
    return Request(
        **{name: params[name] for name in names},
        allow=params["allow_patterns"] or DEFAULT_ALLOW,
        ignore=DEFAULT_IGNORE if params["ignore_patterns"] is None else params["ignore_patterns"],
        check_mode=module.check_mode,
    )


def source_of(module: AnsibleModule) -> Source:
    request, token_file = request_of(module), module.params["token_file"]
    if request.src:
        return FolderSource(request)
    try:
        library = load_library(module.params["ca_bundle"])
    except ImportError as exc:
        if module.check_mode:
            return PredictedSource(request)
        raise ModuleFailure(missing_required_lib("huggingface_hub"), exception=traceback.format_exc()) from exc
    if request.offline:
        return OfflineSource(request, library)
    if module.check_mode and token_file and not os.path.exists(token_file):
        return PredictedSource(request)
    return HubSource(request, library, read_token(module))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repository": {"type": "str"},
            "revision": {"type": "str", "default": "main"},
            "dest": {"type": "path", "required": True},
            "src": {"type": "path"},
            "endpoint": {"type": "str", "default": DEFAULT_ENDPOINT},
            "offline": {"type": "bool", "default": False},
            "cache_dir": {"type": "path"},
            "token_file": {"type": "path", "no_log": False},
            "allow_patterns": {"type": "list", "elements": "str"},
            "ignore_patterns": {"type": "list", "elements": "str"},
            "ca_bundle": {"type": "path"},
            "max_workers": {"type": "int", "default": 4},
            "verify": {"type": "bool", "default": False},
        },
        required_one_of=[("repository", "src")],
        supports_check_mode=True,
    )
    run_module(module, lambda module: snapshot(source_of(module)), f"cannot create {module.params['dest']}")


if __name__ == "__main__":
    main()
