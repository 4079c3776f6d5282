#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: triton_model_repository
short_description: Create a Triton model repository from templates
version_added: "0.1.0"
description:
  - Fills in the placeholders (C(${placeholder})) in the C(config.pbtxt) of every model, sets fields, copies the models'
    other files, and hard-links an engine, the files of a tokenizer and weights.
  - Placeholders are read from the templates, so templates of any TensorRT-LLM version can be used.
  - Before anything is written, all configurations are validated with Triton's C(ModelConfig) message, and the steps of
    the ensemble with the models that they name. All problems are reported at once.
  - The repository is built in C(<dest>.partial) and renamed, so that O(dest) is always complete.
requirements:
  - tritonclient[grpc]; not needed in check mode if O(dest) does not exist yet
  - protobuf
  - PyYAML, for O(llm_args)
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
    details:
      - Without the Python packages, the configurations are rendered and compared but not validated, with a warning.
      - If O(src), O(engine), O(tokenizer) or O(weights) does not exist yet, and neither does O(dest), the module
        predicts that O(dest) will be created.
  diff_mode:
    support: full
  idempotent:
    support: full
  action:
    description: Has an action plugin, which reads the catalogue on the control node.
    support: partial
options:
  src:
    description:
      - The folder with model templates, such as C(all_models/inflight_batcher_llm) of the TensorRT-LLM backend.
    type: path
    required: true
  dest:
    description:
      - The folder of the model repository. The whole folder is replaced if anything in it differs.
      - The module fails if the folder contains anything but models.
      - Required unless O(release_dir) is given.
    type: path
  release_dir:
    description:
      - A folder for a release, instead of O(dest), O(tokenizer_dest) and O(weights_dest). It will contain the folders
        C(model_repository), C(tokenizer) and C(weights), and the file C(release.json) with O(manifest).
      - It is created in C(<release_dir>.partial) and renamed when it is complete.
    type: path
  manifest:
    description:
      - The inputs of the release, which are recorded. Only used with O(release_dir).
    type: dict
    default: {}
  release:
    description:
      - The TensorRT-LLM version of O(src), such as V(0.9.0). If it is set, the placeholders that the templates of this
        version need must be filled in (C(catalogue/releases)).
    type: str
    default: ''
  parameters:
    description:
      - The values of placeholders, by model and placeholder. V(null) leaves a placeholder unfilled.
      - Placeholders outside quotes must be filled in. Those inside quotes may be left; the backend treats them as
        unset.
      - A value for a placeholder that the template does not have is an error.
      - Values may contain any characters, because they are escaped.
      - Comments, order and layout of the template are kept.
    type: dict
    default: {}
  overrides:
    description:
      - Fields of the configuration to set after the placeholders, by model, as a tree of fields of C(ModelConfig).
      - Messages are merged, lists are replaced. C(parameters) maps keys to their C(string_value) and is merged; V(null)
        removes an entry.
      - Comments inside a changed field are lost; everything else in the template is kept.
    type: dict
    default: {}
  llm_args:
    description:
      - Settings to merge into the C(1/model.yaml) of a template, which configures the LLM API, by model. Mappings are
        merged, everything else is replaced; V(null) removes a key.
      - Comments in the file, except those at its beginning, are lost.
      - It is an error if the template of the model has no such file.
    type: dict
    default: {}
  required:
    description:
      - Lists of placeholders that must be filled in even if the configuration is valid without them, by model. The
        default is those that the catalogue lists for O(release). Models that O(src) does not have are ignored.
    type: dict
    default: {}
  models:
    description:
      - The models of O(src) to use; by default all of them.
    type: list
    elements: str
    default: []
  engine:
    description:
      - The folder of an engine. Its C(config.json) and C(rank*.engine) become version 1 of O(engine_model).
    type: path
  engine_model:
    description:
      - The model that gets the engine.
    type: str
    default: tensorrt_llm
  image_digest:
    description:
      - The digest of the image that will serve the model. The module fails if O(engine) was built with another image.
    type: str
  tokenizer:
    description:
      - The folder of the model's weights. Only its tokenizer and configuration files are linked to O(tokenizer_dest).
    type: path
  tokenizers:
    description:
      - The version of the Python package tokenizers in the image that will serve the model, such as V(0.19). The module
        fails if the model's C(tokenizer.json) needs a later one. The default is that in the catalogue for O(release).
    type: str
  tokenizer_dest:
    description:
      - The folder for the tokenizer.
    type: path
  weights:
    description:
      - The folder of the model's weights. All its files except C(artifact.json) and hidden folders are linked to
        O(weights_dest), from which the LLM API loads them.
    type: path
  weights_dest:
    description:
      - The folder for the weights.
    type: path
  hard_link:
    description:
      - Whether to hard-link the engine, the tokenizer and the weights, so that they need no additional disk space.
      - If they are on another file system, or with V(false), they are copied. So are files that others than root can
        write to, because they could change what is served.
    type: bool
    default: true
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Create the model repository of a release
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

- name: Set fields that have no placeholder
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

- name: Create a model repository for the LLM API, which needs no engine
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
    - name: Create the model repository
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
  description: The sha256 of each model's configuration and its unfilled placeholders, by name of the model.
  returned: success, except in check mode if the sources do not exist yet
  type: dict
  sample:
    ensemble:
      config_sha256: 5c0b32c9a1e3a2a0a6f30fd3b79c3c0a2d26a5a4ab6ed8bd3b1f5a0fd2a7a1d4
      placeholders_unfilled: []
changed_files:
  description: Paths that were added, changed or removed, relative to their folder.
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
  description: The value of O(release).
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
            "tokenizers": {"type": "str", "no_log": False},
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
