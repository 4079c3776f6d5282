# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects of Ansible's main process are excluded from garbage collection before each task, and garbage is not kept."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
from ansible_collections.tritonops.trtllm.plugins.callback.fork_memory import CallbackModule


class Node:
    other: Node


@pytest.fixture
def callback() -> Iterator[CallbackModule]:
    yield CallbackModule()
    gc.unfreeze()


@pytest.mark.parametrize("event", ["v2_playbook_on_task_start", "v2_playbook_on_handler_task_start"])
def test_objects_are_frozen_before_each_task(callback: CallbackModule, event: str) -> None:
    arguments = (None, False) if event.endswith("on_task_start") else (None,)
    kept = [{"host": number} for number in range(1000)]
    getattr(callback, event)(*arguments)
    assert gc.get_freeze_count() > len(kept)
    assert not any(found is kept for found in gc.get_objects())


def test_garbage_is_not_kept(callback: CallbackModule) -> None:
    one, other = Node(), Node()
    one.other, other.one = other, one
    left = weakref.ref(one)
    del one, other
    callback.v2_playbook_on_task_start(None, False)
    assert left() is None
