# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A conversion with the collection's own converter, as an artifact step."""

from __future__ import annotations

import errno
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    ArtifactError,
    Draft,
    check_space,
    free_bytes,
    remove,
    source_key,
    space_message,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._step import STEP_ARGUMENTS, ArtifactStep
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._format import native_inputs
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import Cut
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._native_converter import (
    MISSING_LIBRARY,
    Conversion,
    Request,
    convert,
    prepare,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._weight_files import (
    MISSING_SAFETENSORS,
    listed,
)

# More workers only compete for the disk, and each needs up to 30 MB of memory.
MAX_WORKERS = 8

NATIVE_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **STEP_ARGUMENTS,
    "dtype": {"type": "str", "choices": ["auto", "float16", "bfloat16", "float32"], "default": "auto"},
    "tp_size": {"type": "int", "default": 1},
    "pp_size": {"type": "int", "default": 1},
    "moe_tp_size": {"type": "int"},
    "moe_ep_size": {"type": "int"},
    "use_parallel_embedding": {"type": "bool", "default": False},
    "embedding_sharding_dim": {"type": "int", "choices": [0, 1], "default": 0},
    "use_embedding_sharing": {"type": "bool", "default": False},
    "workers": {"type": "int"},
    "checksums": {"type": "bool", "default": False},
}


def _default_workers() -> int:
    """Two for each usable processor, because one of them waits for the disk."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return 2 * (usable or 1)


class NativeStep(ArtifactStep):
    """`check` raises ArtifactError unless the folder contains a checkpoint for this many ranks."""

    def __init__(self, module: AnsibleModule, check: t.Callable[[str, int], None]) -> None:
        params = module.params
        self._check = check
        self._cut = Cut.of(
            params["tp_size"],
            params["pp_size"],
            params["moe_tp_size"],
            params["moe_ep_size"],
            use_parallel_embedding=params["use_parallel_embedding"],
            # Without a parallel embedding the dimension has no effect, and must not change the key.
            embedding_sharding_dim=params["embedding_sharding_dim"] if params["use_parallel_embedding"] else 0,
            share_embedding=params["use_embedding_sharing"],
        )
        if params["world_size"] not in (1, self._cut.world_size):
            raise ArtifactError(
                f"world_size {params['world_size']} is not tp_size {params['tp_size']} times pp_size"
                f" {params['pp_size']}: set these two, world_size is only for converter upstream"
            )
        workers = _default_workers() if params["workers"] is None else params["workers"]
        if workers < 1:
            raise ArtifactError(f"workers must be at least 1, not {workers}")
        self._workers = min(MAX_WORKERS, workers)
        super().__init__(module, [], self._cut.world_size)

    def inputs(self) -> dict[str, t.Any]:
        params = self._params
        source = source_key(params["src"], may_be_absent=self._module.check_mode)
        return native_inputs(source, params["release"], params["dtype"], self._cut)

    def foresee(self) -> None:
        # An earlier task may be going to create the source or install the library.
        if os.path.isdir(self._params["src"]) and not MISSING_SAFETENSORS:
            self._prepare()

    def _prepare(self) -> Conversion:
        params = self._params
        return prepare(Request(params["src"], params["release"], params["dtype"], self._cut))

    def make(self, draft: Draft) -> dict[str, t.Any]:
        self._check_source()
        for library, missing in (("ml_dtypes", MISSING_LIBRARY), ("safetensors", MISSING_SAFETENSORS)):
            if missing:
                raise ArtifactError(missing_required_lib(library), exception=missing)
        conversion = self._prepare()
        for text in conversion.warnings:
            self._module.warn(f"{self._params['src']}: {text}")
        progress = draft.begin()
        # With verify the next run will probably compare checksums, too.
        hashed = self._params["checksums"] or self._params["verify"]
        try:
            check_space(draft.payload, conversion.total_bytes, "the checkpoint")
            progress.start("convert", total=conversion.total_bytes)
            draft.digests = convert(conversion, draft.payload, progress.advance, self._workers, hashed)
            self._check(draft.payload, self._world_size)
            self._check_inputs()
            return draft.publish(self._record(conversion), progress, hashed)
        except Exception as exc:
            # An incomplete checkpoint cannot be continued, and would only fill the disk.
            remove(draft.partial)
            if isinstance(exc, OSError) and exc.errno == errno.ENOSPC:
                message = space_message("the checkpoint", self._dest, conversion.total_bytes, free_bytes(self._dest))
                raise ArtifactError(message) from exc
            raise

    def _record(self, conversion: Conversion) -> dict[str, t.Any]:
        return {
            "release": self._params["release"],
            "overflowed": conversion.overflowed,
            "has_untied_head": conversion.has_untied_head,
        }

    def extra_results(self, artifact: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        overflowed: dict[str, int] = artifact.get("overflowed", {})
        if overflowed:
            counts = listed([f"{name}: {count}" for name, count in sorted(overflowed.items())])
            self._module.warn(
                f"{self._dest}: values beyond the range of float16 (65504) became infinite: {counts}."
                " The model will not work well; convert with dtype bfloat16 or float32"
            )
        if artifact.get("has_untied_head"):
            self._module.warn(
                f"{self._params['src']}: config.json has tie_word_embeddings, but lm_head.weight is stored and differs"
                " from the embedding. The checkpoint has the stored one, as upstream's converter would write it;"
                " transformers would use the embedding. Remove lm_head.weight or tie_word_embeddings from the model"
            )
        return {"overflowed": overflowed}
