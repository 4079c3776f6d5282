# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Creates the folders of a release: the model repository, and the tokenizer or weights that it uses."""

from __future__ import annotations

import os
import typing as t

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
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
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._tokenizer import check_tokenizer

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# What a release takes from a folder of weights, by the option with that folder.
SHARES = {share.name: share for share in (repository.TOKENIZER, repository.WEIGHTS)}
PATHS = ("path", *(f"{name}_path" for name in SHARES))


class Target(t.NamedTuple):
    """A folder that this module owns, and the files that it must contain."""

    dest: str
    tree: repository.Tree

    def reason(self, changed: t.Sequence[str]) -> str:
        if not os.path.isdir(self.dest):
            return f"{self.dest} does not exist"
        return f"{self.dest} differs in {', '.join(changed)}"


class Release(t.NamedTuple):
    """The folder of a release, which has another name until it is finished."""

    path: str
    finished: bool

    @classmethod
    def at(cls, path: str) -> Release:
        return cls(path, is_release(path))

    @property
    def folder(self) -> str:
        return self.path if self.finished else self.path + UNFINISHED

    def dests(self, params: t.Mapping[str, t.Any]) -> dict[str, str]:
        """The options that name its folders."""
        shared = {f"{name}_dest": os.path.join(self.folder, name) for name in SHARES if params[name]}
        return {"dest": os.path.join(self.folder, "model_repository"), **shared}

    def record(self, manifest: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        """Write the manifest if it differs, and rename the folder to its final name."""
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
    """Fail because a package is missing, unless this is check mode and the result can be predicted without it."""
    if not (module.check_mode and predictable):
        raise ModuleFailure(missing_required_lib(package), exception=error)


def make_plan(module: AnsibleModule) -> repository.Plan:
    """Render all files, and validate them as far as the packages on the host allow."""
    params = module.params
    overrides, required, llm_args = params["overrides"], params["required"], params["llm_args"]
    exists = os.path.isdir(params["dest"])
    if YAML_IMPORT_ERROR and llm_args:
        go_without(module, "PyYAML", YAML_IMPORT_ERROR, predictable=not exists)
        llm_args = {}
    if PROTOBUF_IMPORT_ERROR:
        go_without(module, "tritonclient[grpc]", PROTOBUF_IMPORT_ERROR, predictable=not (overrides and exists))
        module.warn(
            "The configurations are not validated because the Python package tritonclient[grpc] is not installed yet."
        )
        if overrides:
            # Overrides cannot be applied, nor is it known what they set. Only "dest does not exist" is predicted.
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
    """Tokenizer and weights first, so that they exist as soon as the repository does."""
    params = module.params
    shares = [
        Target(params[f"{name}_dest"], share.plan(params[name], params["hard_link"]))
        for name, share in SHARES.items()
        if params[name]
    ]
    return [*shares, Target(params["dest"], plan.tree)]


@readable_by_everybody()
def ensure_repository(module: AnsibleModule) -> dict[str, t.Any]:
    """With release_dir, set the options that name folders in it."""
    path = module.params["release_dir"]
    if not path:
        nowhere = [name for name in SHARES if module.params[name] and not module.params[f"{name}_dest"]]
        if nowhere:
            raise ModuleFailure(f"{nowhere[0]} needs {nowhere[0]}_dest: set it to the folder to create")
        return make(module)
    release = Release.at(path)
    module.params.update(release.dests(module.params))
    if not module.check_mode:
        os.makedirs(release.folder, mode=0o755, exist_ok=True)
    made = make(module)
    recorded = release.record(module.params["manifest"], module.check_mode)
    # The folder was renamed.
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
        reason = f"{params['dest']} does not exist, nor does {', '.join(absent)} yet"
        diff = {"before_header": params["dest"], "after_header": params["dest"], "before": "", "after": f"{reason}\n"}
        return {**result, "changed": True, "changed_files": [], "reason": reason, "diff": [diff]}
    if params["engine"] and params["image_digest"]:
        check_engine_image(params["engine"], params["image_digest"])
    for folder in (params[name] for name in SHARES if params[name] and params["tokenizers"]):
        check_tokenizer(folder, params["tokenizers"])
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
