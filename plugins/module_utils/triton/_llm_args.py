# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The LLM API's model.yaml, with keys merged into the template."""

from __future__ import annotations

import traceback
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import canonical
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._model_config import ConfigError, leading_comment

YAML_IMPORT_ERROR: str | None = None
try:
    import yaml
except ImportError:
    YAML_IMPORT_ERROR = traceback.format_exc()

# Relative to a model's folder.
MODEL_YAML = "1/model.yaml"


def merged(template: str, changes: t.Mapping[str, t.Any]) -> str:
    """The text with mappings merged and everything else replaced; null removes a key.

    Of the comments, only those at the beginning of the file are kept.
    """
    try:
        base = yaml.safe_load(template)
    except yaml.YAMLError as exc:
        raise ConfigError([f"{MODEL_YAML} is not valid YAML: {' '.join(str(exc).split())}"]) from exc
    if not isinstance(base, dict):
        raise ConfigError([f"{MODEL_YAML} is not a mapping, so llm_args cannot be merged into it"])
    # canonical(), because the dumper only supports plain types. The keys stay in the order of the template.
    text = yaml.safe_dump(_merge(base, canonical(changes)), sort_keys=False, allow_unicode=True, width=1000)
    return leading_comment(template) + text


def _merge(base: t.Any, changes: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    result = dict(base) if isinstance(base, dict) else {}
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge(result.get(key), value) if isinstance(value, dict) else value
    return result
