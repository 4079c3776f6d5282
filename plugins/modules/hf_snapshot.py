#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hf_snapshot

short_description: Download a model from Hugging Face at a pinned revision

version_added: "0.1.0"

description:
  - Downloads the safetensors weights, the tokenizer and the configuration of a Hugging Face model repository with
    C(huggingface_hub), and verifies the size and digest of every file against those of the hub.
  - The files are downloaded to O(dest) with C(.partial) appended, which is renamed when it is complete. The next run
    continues an interrupted download.
  - The source is the hub, a mirror of it, files that are on the host already (O(offline=true)), or a folder (O(src)).

extends_documentation_fragment:
  - tritonops.trtllm.attributes

attributes:
  check_mode:
    support: full
    details:
      - The hub is asked as in a normal run, so that a rejected token or a wrong revision is reported.
      - Without C(huggingface_hub) on the host, or without the file O(token_file), only O(dest) is checked.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - If O(revision) is a branch or tag, it is resolved in every run, and may have moved.

options:
  repository:
    description:
      - Repository of the model on the hub, in the form V(organisation/name).
      - Required unless O(src) is given.
    type: str
  revision:
    description:
      - A commit (40 hexadecimal digits), which is recommended, or a branch or tag, which is resolved to a commit.
    type: str
    default: main
  dest:
    description:
      - Folder for the model's files and C(artifact.json).
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
      - Whether to only use files in O(dest), in its C(.partial) folder or in O(cache_dir), and no network.
    type: bool
    default: false
  cache_dir:
    description:
      - A cache of C(huggingface_hub) on the host to copy files from. Nothing is written to it.
      - The default is that of the library, C(~/.cache/huggingface/hub).
    type: path
  token:
    description:
      - The token for private and gated models. It is only used by this task, and not stored on the host if Ansible uses
        pipelining (C(ansible_pipelining)).
      - Mutually exclusive with O(token_file).
    type: str
  token_file:
    description:
      - File on the host with the token.
      - The default is the environment variable E(HF_TOKEN). O(token) and a file are safer, because Ansible writes the
        C(environment) of a task to command lines.
    type: path
  allow_patterns:
    description:
      - Shell patterns of the files to download; C(*) also matches C(/).
      - By default, safetensors weights, tokenizer and configuration.
    type: list
    elements: str
  ignore_patterns:
    description:
      - Shell patterns of files to exclude from those that match O(allow_patterns).
      - By default, the same weights in other formats, such as V(*.bin), V(*.pt), V(*.gguf) and V(original/*).
    type: list
    elements: str
  ca_bundle:
    description:
      - File on the host with CA certificates to use instead of the built-in ones.
    type: path
  max_workers:
    description:
      - Number of files to download at the same time.
    type: int
    default: 4
  verify:
    description:
      - Whether to verify the hashes of files in an existing O(dest), and not only their names and sizes.
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
- name: Download a gated model at a commit
  tritonops.trtllm.hf_snapshot:
    repository: mistralai/Mixtral-8x7B-Instruct-v0.1
    revision: 1e637f2d7cb0a9d6fb1922f305cb784995190a83
    dest: /opt/trtllm/weights/mixtral
    token: "{{ lookup('ansible.builtin.file', '~/.config/hf_token') }}"
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python
    ansible_pipelining: true

- name: Copy a model from a folder on the host
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
  description: The commit of O(revision); V(null) for a folder (O(src)).
  returned: success
  type: str
  sample: 1e637f2d7cb0a9d6fb1922f305cb784995190a83
files:
  description: Names of the files. Empty in check mode if they would have to be downloaded.
  returned: success
  type: list
  elements: str
  sample: [config.json, model.safetensors, tokenizer.json]
total_size:
  description: Size of all files in bytes.
  returned: success
  type: int
  sample: 269060552
downloaded:
  description: Bytes that this run downloaded; less than RV(total_size) if it continued an earlier run.
  returned: success
  type: int
  sample: 269060552
reason:
  description: Why the files had to be downloaded; V(null) if they existed.
  returned: success
  type: str
  sample: "no artifact at /opt/trtllm/weights/3f2a9c0d1b7e4865"
artifact:
  description: Content of C(artifact.json), with size and SHA-256 of each file; V(null) if it does not exist yet.
  returned: success
  type: dict
  sample: {"key": "3f2a9c0d1b7e4865", "duration_seconds": 41.3}
"""

import os
import traceback

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils._secrets import refuse_login
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
    """The token from an option, the file or the environment, which is removed from all output."""
    path, given = module.params["token_file"], module.params["token"]
    if given is not None:
        token = given.strip()
        if not token:
            raise HubError("the token is empty: write it to the file that it is read from, or do not set it")
    elif path is None:
        token = os.environ.get("HF_TOKEN", "").strip()
    else:
        try:
            with open(path, encoding="utf-8") as stream:
                token = stream.read().strip()
        except OSError as exc:
            raise HubError(f"cannot read the token: {exc}; create the file, or correct token_file") from exc
        if not token:
            raise HubError(f"the file {path} (token_file) is empty: write the token to it, or do not set token_file")
    if token:
        module.no_log_values.add(token)
    return token or None


def request_of(module: AnsibleModule) -> Request:
    params = module.params
    refuse_login(module, "endpoint")
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
            "token": {"type": "str", "no_log": True},
            "token_file": {"type": "path", "no_log": False},
            "allow_patterns": {"type": "list", "elements": "str"},
            "ignore_patterns": {"type": "list", "elements": "str"},
            "ca_bundle": {"type": "path"},
            "max_workers": {"type": "int", "default": 4},
            "verify": {"type": "bool", "default": False},
        },
        required_one_of=[("repository", "src")],
        mutually_exclusive=[("token", "token_file")],
        supports_check_mode=True,
    )
    run_module(module, lambda module: snapshot(source_of(module)), f"cannot create {module.params['dest']}")


if __name__ == "__main__":
    main()
