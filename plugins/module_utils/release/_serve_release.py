# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Creates the release folder of trtllm-serve: its configuration, the model's files as links, and the record."""

from __future__ import annotations

import os
import traceback
import typing as t

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import check_apart, sync
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import create_regular
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import read_text
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._umask import readable_by_everybody
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton import _model_repository as files
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._release_folder import Release, Target, converge

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

YAML_IMPORT_ERROR: str | None = None
try:
    import yaml
except ImportError:
    YAML_IMPORT_ERROR = traceback.format_exc()

CONFIG = "config.yml"
MODELS = "models"


def render(config: t.Mapping[str, t.Any]) -> str:
    if config.get("trust_remote_code"):
        raise ModuleFailure("config: trust_remote_code cannot be set, because a model's code is never run")
    text = str(yaml.safe_dump(dict(config), sort_keys=True, allow_unicode=True, width=1000))
    if yaml.safe_load(text) != dict(config):
        raise ModuleFailure("config: it cannot be written as YAML")
    return text


def targets_of(release: Release, params: t.Mapping[str, t.Any]) -> list[Target]:
    # The server gives its model the name of the folder, unless it has an option for it.
    weights = os.path.join(release.folder, MODELS, model_of(params))
    found = [Target(weights, files.WEIGHTS.plan(params["weights"], hard_link=True))]
    if params["tokenizer"]:
        tokenizer = files.TOKENIZER.plan(params["tokenizer"], hard_link=True)
        found.append(Target(os.path.join(release.folder, "tokenizer"), tokenizer))
    return found


def model_of(params: t.Mapping[str, t.Any]) -> str:
    name = params["model"] or os.path.basename(params["weights"].rstrip("/"))
    if "/" in name or name.startswith("."):
        raise ModuleFailure(f"model: {name!r} is not the name of a folder")
    return name


def write_config(release: Release, text: str, check_mode: bool) -> list[dict[str, str]]:
    """The difference, if there is one."""
    path, shown = os.path.join(release.folder, CONFIG), os.path.join(release.path, CONFIG)
    before = read_text(path)
    if before == text:
        return []
    if not check_mode:
        new = path + ".new"
        with create_regular(new) as stream:
            stream.write(text.encode("utf-8"))
        os.chmod(new, 0o644)
        sync(new)
        os.replace(new, path)
    return [{"before_header": shown, "after_header": shown, "before": before, "after": text}]


@readable_by_everybody()
def ensure_release(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    path, check_mode = params["dest"], module.check_mode
    sources = {name: params[name] for name in ("weights", "tokenizer") if params[name]}
    check_apart({"dest": path}, sources)
    release = Release.at(path)
    absent = [source for source in sources.values() if not os.path.isdir(source)]
    if check_mode and absent and not release.finished:
        reason = f"{path} does not exist, nor does {', '.join(absent)} yet"
        return {"changed": True, "path": path, "changed_files": [], "diff": [{"before": "", "after": f"{reason}\n"}]}
    # On a new host, check mode has no environment with the package either.
    if YAML_IMPORT_ERROR:
        raise ModuleFailure(missing_required_lib("PyYAML"), exception=YAML_IMPORT_ERROR)
    text = render(params["config"])
    targets = targets_of(release, params)
    if not check_mode:
        os.makedirs(os.path.join(release.folder, MODELS), mode=0o755, exist_ok=True)
    made = converge(targets, check_mode)
    config = write_config(release, text, check_mode)
    recorded = release.record({**params["manifest"], **stated(params)}, check_mode)
    return {
        "changed": made["changed"] or bool(config) or recorded["changed"],
        "path": path,
        "changed_files": [*made["changed_files"], *([CONFIG] if config else [])],
        "diff": [*made["diff"], *config, *recorded["diff"]],
    }


def stated(params: t.Mapping[str, t.Any]) -> dict[str, str]:
    """What the record says in any case."""
    return {
        "release": params["version"],
        **({"image_digest": params["image_digest"]} if params["image_digest"] else {}),
    }
