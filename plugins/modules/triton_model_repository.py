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

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    check_apart,
    check_engine_image,
    check_replaceable,
    locked,
    pretty,
    write_json,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import RELEASE_JSON, UNFINISHED, is_release
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import read_text
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._umask import readable_by_everybody
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton import _model_repository as repository
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._llm_args import YAML_IMPORT_ERROR
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._model_config import PROTOBUF_IMPORT_ERROR

# What a release takes out of a folder of weights, by the option that names the folder.
SHARES = {share.name: share for share in (repository.TOKENIZER, repository.WEIGHTS)}
PATHS = ("path", *(f"{name}_path" for name in SHARES))


class Target(t.NamedTuple):
    """A folder that this module owns, and what it is to consist of."""

    dest: str
    tree: repository.Tree

    def reason(self, changed: t.Sequence[str]) -> str:
        if not os.path.isdir(self.dest):
            return f"{self.dest} does not exist"
        return f"{self.dest} differs in {', '.join(changed)}"


class Release(t.NamedTuple):
    """The folder of a release; aside while it is not finished."""

    path: str
    finished: bool

    @classmethod
    def at(cls, path: str) -> Release:
        return cls(path, is_release(path))

    @property
    def folder(self) -> str:
        return self.path if self.finished else self.path + UNFINISHED

    def dests(self, params: t.Mapping[str, t.Any]) -> dict[str, str]:
        """The options of the folders in it."""
        shared = {f"{name}_dest": os.path.join(self.folder, name) for name in SHARES if params[name]}
        return {"dest": os.path.join(self.folder, "model_repository"), **shared}

    def record(self, manifest: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        """Write the manifest where it differs, and give the folder its name."""
        record = os.path.join(self.folder, RELEASE_JSON)
        before, after = read_text(record), pretty(manifest)
        if not check_mode and before != after:
            write_json(record, manifest)
        if not check_mode and not self.finished:
            os.rename(self.folder, self.path)
        header = os.path.join(self.path, RELEASE_JSON)
        diff = {"before_header": header, "after_header": header, "before": before, "after": after}
        return {"changed": before != after or not self.finished, "diff": [diff] if before != after else []}


def absent_sources(params: t.Mapping[str, t.Any]) -> list[str]:
    sources = [params[name] for name in ("src", "engine", *SHARES) if params[name]]
    return [source for source in dict.fromkeys(sources) if not os.path.isdir(source)]


def check_paths(params: t.Mapping[str, t.Any]) -> None:
    dests = {name: params[name] for name in ("dest", *(f"{name}_dest" for name in SHARES)) if params[name]}
    check_apart(dests, {name: params[name] for name in ("src", "engine", *SHARES) if params[name]})
    for dest in dests.values():
        check_replaceable(dest)


def go_without(module: AnsibleModule, package: str, error: str, predictable: bool) -> None:
    """A package is not there yet: only check mode can do without it, and only where the outcome can be told."""
    if not (module.check_mode and predictable):
        raise ModuleFailure(missing_required_lib(package), exception=error)


def make_plan(module: AnsibleModule) -> repository.Plan:
    """Render everything, with as much validation as the host's packages allow."""
    params = module.params
    overrides, required, llm_args = params["overrides"], params["required"], params["llm_args"]
    exists = os.path.isdir(params["dest"])
    if YAML_IMPORT_ERROR and llm_args:
        go_without(module, "PyYAML", YAML_IMPORT_ERROR, predictable=not exists)
        llm_args = {}
    if PROTOBUF_IMPORT_ERROR:
        go_without(module, "tritonclient[grpc]", PROTOBUF_IMPORT_ERROR, predictable=not (overrides and exists))
        module.warn("The configurations are not validated, for the Python package tritonclient[grpc] is not there yet.")
        if overrides:
            # They cannot be applied, and what they fill cannot be known: only "dest does not exist" is predicted.
            overrides, required = {}, {}
    request = repository.Request(
        src=params["src"],
        parameters=params["parameters"],
        overrides=overrides,
        llm_args=llm_args,
        required=required,
        models=params["models"],
        release=params["release"],
        engine=params["engine"] or "",
        engine_model=params["engine_model"],
        hard_link=params["hard_link"],
    )
    return repository.plan_repository(request, validate=not PROTOBUF_IMPORT_ERROR)


def targets_of(module: AnsibleModule, plan: repository.Plan) -> list[Target]:
    """Tokenizer and weights first: whoever sees the repository finds them there."""
    params = module.params
    shares = [
        Target(params[f"{name}_dest"], share.plan(params[name], params["hard_link"]))
        for name, share in SHARES.items()
        if params[name]
    ]
    return [*shares, Target(params["dest"], plan.tree)]


@readable_by_everybody()
def run(module: AnsibleModule) -> dict[str, t.Any]:
    """With a release, its folders take the place of the options that name them."""
    path = module.params["release_dir"]
    if not path:
        nowhere = [name for name in SHARES if module.params[name] and not module.params[f"{name}_dest"]]
        if nowhere:
            raise ModuleFailure(f"{nowhere[0]} is to be linked, but {nowhere[0]}_dest does not say where: give it")
        return make(module)
    release = Release.at(path)
    module.params.update(release.dests(module.params))
    if not module.check_mode:
        os.makedirs(release.folder, mode=0o755, exist_ok=True)
    made = make(module)
    recorded = release.record(module.params["manifest"], module.check_mode)
    # They have been renamed.
    paths = {name: made[name] and made[name].replace(release.folder, path, 1) for name in PATHS}
    changed = made["changed"] or recorded["changed"]
    return {**made, **paths, "changed": changed, "diff": [*made["diff"], *recorded["diff"]]}


def make(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    result = {
        "path": params["dest"],
        "tokenizer_path": params["tokenizer_dest"],
        "weights_path": params["weights_dest"],
        "release": params["release"],
    }
    check_paths(params)
    absent = absent_sources(params)
    if module.check_mode and absent and not os.path.isdir(params["dest"]):
        reason = f"{params['dest']} does not exist; neither does {', '.join(absent)} yet"
        diff = {"before_header": params["dest"], "after_header": params["dest"], "before": "", "after": f"{reason}\n"}
        return {**result, "changed": True, "changed_files": [], "reason": reason, "diff": [diff]}
    if params["engine"] and params["image_digest"]:
        check_engine_image(params["engine"], params["image_digest"])
    plan = make_plan(module)
    outcome = converge(targets_of(module, plan), module.check_mode)
    return {**result, **outcome, "models": plan.models()}


def converge(targets: t.Sequence[Target], check_mode: bool) -> dict[str, t.Any]:
    changed_files, reasons, diff = [], [], []
    for target in targets:
        changed = target.tree.changes(target.dest)
        if not changed:
            continue
        changed_files += changed
        reasons.append(target.reason(changed))
        diff += target.tree.diff(target.dest, changed)
        if not check_mode:
            with locked(target.dest):
                repository.publish(target.tree, target.dest)
    return {
        "changed": bool(changed_files),
        "changed_files": changed_files,
        "reason": "; ".join(reasons) or None,
        "diff": diff,
    }


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
    run_module(module, run, f"cannot create {module.params['release_dir'] or module.params['dest']}")


if __name__ == "__main__":
    main()
