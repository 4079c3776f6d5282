#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: triton_model_repository
short_description: Make a Triton model repository from a release's templates
version_added: "0.1.0"
description:
  - Fills the C(${placeholder}) marks in the C(config.pbtxt) of every model, changes fields, copies the models' other
    files, and hard-links an engine, the files of a tokenizer and weights.
  - Placeholders are read from the templates at hand, so that it takes those of any release.
  - Every configuration is checked with Triton's own C(ModelConfig) message, and the ensemble's steps against the models
    they name, before anything is written. All problems are reported at once.
  - The repository is built in C(<dest>.partial) and renamed, so that O(dest) is always complete.
requirements:
  - tritonclient[grpc]; not needed in check mode where O(dest) does not exist yet
  - protobuf
  - PyYAML, for O(llm_args)
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
    details:
      - Without the Python packages the configurations are rendered and compared but not validated; a warning says so.
      - Where O(src), O(engine), O(tokenizer) or O(weights) is still to be made by an earlier task and O(dest) does not
        exist, the prediction is that O(dest) will be made.
  diff_mode:
    support: full
  idempotent:
    support: full
  action:
    description: Has an action plugin, which reads the catalogue on the controller.
    support: partial
options:
  src:
    description:
      - The folder of model templates, such as C(all_models/inflight_batcher_llm) of the TensorRT-LLM backend.
    type: path
    required: true
  dest:
    description:
      - The folder of the model repository. It is replaced as a whole when anything in it differs.
      - A folder that has anything but models in it is refused.
      - Required unless O(release_dir) is given.
    type: path
  release_dir:
    description:
      - A folder to make a release in, in place of O(dest), O(tokenizer_dest) and O(weights_dest). It gets the folders
        C(model_repository), C(tokenizer) and C(weights), and the file C(release.json) with O(manifest).
      - It is made in C(<release_dir>.partial) and renamed when all of it is there.
    type: path
  manifest:
    description:
      - What the release is made of. Only used with O(release_dir).
    type: dict
    default: {}
  release:
    description:
      - The release that O(src) belongs to, such as V(0.9.0). With it, the placeholders that this release's templates
        cannot do without are demanded (C(catalogue/releases)).
    type: str
    default: ''
  parameters:
    description:
      - The values of placeholders, as model to placeholder to value. V(null) leaves a placeholder unfilled.
      - A placeholder outside quotes must be filled. One inside quotes may be left; the backend takes it for unset.
      - A value for a placeholder that the template does not have is an error.
      - Values are escaped as the place in the template demands, so that they may contain anything.
      - Comments, order and layout of the template stay as they are.
    type: dict
    default: {}
  overrides:
    description:
      - Fields of the configuration to set after the placeholders, as model to a tree of fields of C(ModelConfig).
      - Messages are merged, lists are replaced. C(parameters) is a mapping of key to its C(string_value), which is
        merged; V(null) removes an entry.
      - A field that is changed is written anew, without comments inside of it; everything else stays as it is in the
        template.
    type: dict
    default: {}
  llm_args:
    description:
      - What is merged over the C(1/model.yaml) of a template, with which the LLM API is configured, as model to a tree
        of keys. Mappings are merged, everything else is replaced; V(null) removes a key.
      - The file is written anew, without the comments after its head.
      - A model whose template has no such file is an error.
    type: dict
    default: {}
  required:
    description:
      - Placeholders that must be filled although the configuration would parse without, as model to a list of names.
        By default those that the catalogue has for O(release). Models that O(src) does not have are passed over.
    type: dict
    default: {}
  models:
    description:
      - The models to take from O(src); all of them by default.
    type: list
    elements: str
    default: []
  engine:
    description:
      - The folder of a built engine. Its C(config.json) and C(rank*.engine) are put into version 1 of O(engine_model).
    type: path
  engine_model:
    description:
      - The model that gets the engine.
    type: str
    default: tensorrt_llm
  image_digest:
    description:
      - The digest of the image that is going to serve; an O(engine) that another image built is refused.
    type: str
  tokenizer:
    description:
      - The folder of the model's weights. Its tokenizer and configuration files are put into O(tokenizer_dest), its
        weights are not.
    type: path
  tokenizer_dest:
    description:
      - The folder for the tokenizer.
    type: path
  weights:
    description:
      - The folder of the model's weights. All its files but C(artifact.json) and what is in hidden folders are put into
        O(weights_dest), for the LLM API, which loads them itself.
    type: path
  weights_dest:
    description:
      - The folder for the weights.
    type: path
  hard_link:
    description:
      - Hard-link the engine, the tokenizer and the weights, so that they take no room of their own.
      - Across file systems they are copied. With V(false) they are always copied.
    type: bool
    default: true
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Make the model repository of a release
  tritonops.trtllm.triton_model_repository:
    src: /opt/trtllm/backend/0123456789abcdef/all_models/inflight_batcher_llm
    dest: /opt/trtllm/deployments/default/releases/one/model_repository
    release: v0.16.0
    parameters:
      ensemble:
        triton_max_batch_size: 1
      preprocessing:
        triton_max_batch_size: 1
        preprocessing_instance_count: 1
        tokenizer_dir: /release/tokenizer
      postprocessing:
        triton_max_batch_size: 1
        postprocessing_instance_count: 1
        tokenizer_dir: /release/tokenizer
        skip_special_tokens: true
      tensorrt_llm:
        triton_backend: tensorrtllm
        triton_max_batch_size: 1
        decoupled_mode: true
        max_queue_delay_microseconds: 100
        max_queue_size: 0
        encoder_input_features_data_type: TYPE_FP16
        batching_strategy: inflight_fused_batching
        engine_dir: /release/model_repository/tensorrt_llm/1
        batch_scheduler_policy: max_utilization
      tensorrt_llm_bls:
        triton_max_batch_size: 1
        decoupled_mode: true
        bls_instance_count: 1
    engine: /opt/trtllm/engine/fedcba9876543210
    image_digest: sha256:aa2f8e1f8a4f0a4f5d6f1d2f7d0f6a4b9f3a6cf0c7a4bb21f0f3e1fca84cf1d2
    tokenizer: /opt/trtllm/weights/00112233445566ff
    tokenizer_dest: /opt/trtllm/deployments/default/releases/one/tokenizer

- name: Change fields that no placeholder reaches
  tritonops.trtllm.triton_model_repository:
    src: /opt/templates
    dest: /opt/models
    overrides:
      tensorrt_llm:
        max_batch_size: 1
        instance_group:
          - count: 1
            kind: KIND_CPU
        parameters:
          gpt_model_path: /opt/models/tensorrt_llm/1

- name: Make the model repository of the LLM API, which needs no engine
  tritonops.trtllm.triton_model_repository:
    src: /opt/trtllm/backend/0123456789abcdef/llmapi
    dest: /opt/trtllm/deployments/default/releases/two/model_repository
    release: 1.2.1
    llm_args:
      tensorrt_llm:
        model: /release/weights
        tensor_parallel_size: 2
        triton_config:
          decoupled: true
    overrides:
      tensorrt_llm:
        model_transaction_policy:
          decoupled: true
    weights: /opt/trtllm/weights/00112233445566ff
    weights_dest: /opt/trtllm/deployments/default/releases/two/weights

# ansible localhost -m tritonops.trtllm.triton_model_repository -a '{"src": "templates", "dest": "models", …}'
- name: Render templates on the control node
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Render them
      tritonops.trtllm.triton_model_repository:
        src: "{{ playbook_dir }}/templates"
        dest: "{{ playbook_dir }}/models"
        parameters: "{{ lookup('ansible.builtin.file', 'parameters.json') | from_json }}"
"""

RETURN = r"""
path:
  description: The folder of the model repository.
  returned: success
  type: str
  sample: /opt/trtllm/deployments/default/releases/one/model_repository
tokenizer_path:
  description: The folder of the tokenizer; V(null) without O(tokenizer_dest).
  returned: success
  type: str
  sample: /opt/trtllm/deployments/default/releases/one/tokenizer
weights_path:
  description: The folder of the weights; V(null) without O(weights_dest).
  returned: success
  type: str
  sample: /opt/trtllm/deployments/default/releases/one/weights
models:
  description: By name, the sha256 of each model's configuration and the placeholders that were left in it.
  returned: success, unless in check mode the sources are still to be made
  type: dict
  sample:
    ensemble:
      config_sha256: 5c0b32c9a1e3a2a0a6f30fd3b79c3c0a2d26a5a4ab6ed8bd3b1f5a0fd2a7a1d4
      placeholders_unfilled: []
changed_files:
  description: Paths, relative to their folder, that are new, different or gone.
  returned: success
  type: list
  elements: str
  sample: [tensorrt_llm/config.pbtxt]
reason:
  description: Why something was changed; V(null) if nothing was.
  returned: success
  type: str
  sample: /opt/trtllm/deployments/default/releases/one/model_repository does not exist
release:
  description: The release as given.
  returned: success
  type: str
  sample: v0.16.0
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._release_folder import SHARES, ensure_repository


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path", "required": True},
            "dest": {"type": "path"},
            "release_dir": {"type": "path"},
            "manifest": {"type": "dict", "default": {}},
            "release": {"type": "str", "default": ""},
            "parameters": {"type": "dict", "default": {}},
            "overrides": {"type": "dict", "default": {}},
            "llm_args": {"type": "dict", "default": {}},
            "required": {"type": "dict", "default": {}},
            "models": {"type": "list", "elements": "str", "default": []},
            "engine": {"type": "path"},
            "engine_model": {"type": "str", "default": "tensorrt_llm"},
            "image_digest": {"type": "str"},
            "tokenizer": {"type": "path"},
            "tokenizer_dest": {"type": "path"},
            "weights": {"type": "path"},
            "weights_dest": {"type": "path"},
            "hard_link": {"type": "bool", "default": True},
        },
        required_one_of=[("dest", "release_dir")],
        mutually_exclusive=[("release_dir", name) for name in ("dest", *(f"{name}_dest" for name in SHARES))],
        required_by={"image_digest": ("engine",), **{f"{name}_dest": (name,) for name in SHARES}},
        supports_check_mode=True,
    )
    run_module(module, ensure_repository, f"cannot create {module.params['release_dir'] or module.params['dest']}")


if __name__ == "__main__":
    main()
