# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Whether the server's version of the Python package tokenizers can read a tokenizer.json."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version

TOKENIZER_JSON = "tokenizer.json"
# The first version that reads merges as pairs, ["a", "b"], and the only form that it writes.
MERGES_AS_PAIRS = "0.20"


def check_tokenizer(folder: str, tokenizers: str) -> None:
    """Refuse the tokenizer in the folder, if there is one, if this version cannot read it.

    The server would only say so when it starts, in words about an "untagged enum".
    """
    path = os.path.join(folder, TOKENIZER_JSON)
    if version(tokenizers) < version(MERGES_AS_PAIRS) and has_merges_as_pairs(_read(path)):
        raise ModuleFailure(
            f"{path} has merges as pairs, which need the Python package tokenizers {MERGES_AS_PAIRS} or later. The"
            f" image has {tokenizers}. Use a tokenizer that was saved by transformers 4.44 or older (trtllm_tokenizer),"
            " or a later TensorRT-LLM version (trtllm_release)"
        )


def has_merges_as_pairs(tokenizer: t.Any) -> bool:
    model = tokenizer.get("model") if isinstance(tokenizer, dict) else None
    merges = model.get("merges") if isinstance(model, dict) else None
    return isinstance(merges, list) and any(isinstance(merge, list) for merge in merges)


def _read(path: str) -> t.Any:
    """The content of the file; None if there is none, or if it is not JSON."""
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except (OSError, ValueError, RecursionError):
        return None
