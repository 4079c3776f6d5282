# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: compact
type: stdout
short_description: Shows what changed and what failed
version_added: 0.1.0
description:
  - Prints one line for each task that changed a host, the message of each task that failed, and the recap. Tasks that
    changed nothing and skipped tasks are not shown.
  - A failure is shown as the module's message, followed by the other values that it returned, such as the output of a
    command. If the error is in a template, its place in the playbook follows.
  - Diffs are shown with C(--diff). With C(-v), the output is that of P(ansible.builtin.default#callback), with the same
    options.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - V(tritonops.trtllm.compact) in the setting C(stdout_callback) of C([defaults]).
author:
  - tritonops.trtllm contributors (@tritonops)
"""

import json
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import wraps
from typing import Any, Callable

from ansible import constants as C
from ansible.playbook.block import Block
from ansible.plugins.callback.default import CallbackModule as DefaultCallback

# Lists and other values that take more characters are shortened or wrapped.
LONGEST = 100
# Values of a failed task that its message repeats, or that do not explain the failure.
HIDDEN = {
    *("msg", "exception", "changed", "failed", "skipped", "unreachable", "warnings", "deprecations"),
    *("invocation", "diff", "ansible_facts", "ansible_loop_var", "ansible_index_var", "ansible_loop"),
    *("stdout_lines", "stderr_lines", "start", "end", "delta", "changed_when_result"),
    *("assertion", "evaluated_to"),
    *("argument_errors", "argument_spec_data", "validate_args_context"),
}
# The messages of its modules have all that is to know.
COLLECTION = "tritonops.trtllm."


def default_if_verbose(method: Callable[..., None]) -> Callable[..., None]:
    """With -v, the method of the default callback is called instead."""

    @wraps(method)
    def chosen(self: CallbackModule, *arguments: Any, **keywords: Any) -> None:
        if self._display.verbosity:
            getattr(super(CallbackModule, self), method.__name__)(*arguments, **keywords)
        else:
            method(self, *arguments, **keywords)

    return chosen


class CallbackModule(DefaultCallback):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "tritonops.trtllm.compact"

    def __init__(self) -> None:
        super().__init__()
        # The heading of a play in which no task has started yet.
        self._heading = ""
        # The names of tasks with their templates filled in, which they only are when the task starts.
        self._names: dict[str, str] = {}
        # By host, what came with items of a loop and is shown when the loop ends.
        self._diffs: defaultdict[str, str] = defaultdict(str)
        self._explained: defaultdict[str, list[str]] = defaultdict(list)
        self._retried: set[tuple[str, str]] = set()

    @default_if_verbose
    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._heading = f"\nPLAY [{play.get_name().strip()}]{' [CHECK MODE]' if play.check_mode else ''}"

    @default_if_verbose
    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._display.display(f"{self._heading}: no hosts matched", color=C.COLOR_SKIP)

    @default_if_verbose
    def v2_playbook_on_no_hosts_remaining(self) -> None:
        self._display.display("NO MORE HOSTS LEFT")

    @default_if_verbose
    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        if self._heading:
            self._display.display(self._heading)
            self._heading = ""
        self._names[task._uuid] = task.get_name().strip()

    @default_if_verbose
    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self.v2_playbook_on_task_start(task, False)

    @default_if_verbose
    def v2_playbook_on_include(self, included_file: Any) -> None:
        pass

    @default_if_verbose
    def v2_runner_on_ok(self, result: Any) -> None:
        self._handle_warnings(result._result)
        self._show_changed(result)
        self._show_debug(result)

    @default_if_verbose
    def v2_runner_on_skipped(self, result: Any) -> None:
        self._handle_warnings(result._result)

    @default_if_verbose
    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._show_failure(result, "failed", ignore_errors)

    @default_if_verbose
    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._show_failure(result, "unreachable", result._task.ignore_unreachable)

    # The result of the whole task comes last and contains those of its items.
    @default_if_verbose
    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._handle_warnings(result._result)

    @default_if_verbose
    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._handle_warnings(result._result)
        self._explained[result._host.get_name()] += explained(result)

    @default_if_verbose
    def v2_runner_item_on_skipped(self, result: Any) -> None:
        self._handle_warnings(result._result)

    @default_if_verbose
    def v2_runner_retry(self, result: Any) -> None:
        key = (result._host.get_name(), result._task._uuid)
        if key not in self._retried:
            self._retried.add(key)
            left = result._result["retries"] - result._result["attempts"]
            self._display.display(f"{self._line('retrying', result)}, {left} more times", color=C.COLOR_DEBUG)

    @default_if_verbose
    def v2_on_file_diff(self, result: Any) -> None:
        """Comes before the end of the task, and is shown below its name."""
        if result._result.get("changed"):
            self._diffs[result._host.get_name()] += self._get_diff(result._result.get("diff") or [])

    def _show_changed(self, result: Any) -> None:
        items = [values for values in _items(result) if values.get("changed")]
        if items or result._result.get("changed"):
            self._display.display(self._line("changed", result, items), color=C.COLOR_CHANGED)
        if diff := self._diffs.pop(result._host.get_name(), ""):
            self._display.display(diff)

    def _show_debug(self, result: Any) -> None:
        if result._task.action not in C._ACTION_DEBUG:
            return
        lines = [] if result._result.get("changed") else [self._line("ok", result)]
        for values in _items(result):
            self._clean_results(values, result._task.action)
            lines += described(values, result._task.action)
        self._display.display("\n".join(lines), color=C.COLOR_OK)

    def _show_failure(self, result: Any, status: str, ignored: bool) -> None:
        self._handle_warnings(result._result)
        failed = [values for values in _items(result) if values.get(status) or values.get("exception")]
        if _is_loop(result):
            self._show_changed(result)
        if ignored:
            status += " (ignored)"
        elif status == "failed" and is_rescued(result._task):
            status += " (rescued)"
        elif result._task.any_errors_fatal:
            status += " (any_errors_fatal)"
        lines = []
        for values in failed or [result._result]:
            lines += [self._line(status, result, [values]), *described(values, result._task.action)]
        lines += dict.fromkeys([*self._explained.pop(result._host.get_name(), []), *explained(result)])
        color = C.COLOR_SKIP if ignored else C.COLOR_ERROR
        self._display.display("\n".join(lines), color=color, stderr=self.get_option("display_failed_stderr"))

    def _line(self, status: str, result: Any, items: Iterable[Mapping[str, Any]] = ()) -> str:
        name = self._names.get(result._task._uuid) or result._task.get_name()
        shown = [values for values in items if _is_loop(result) and not values.get("_ansible_no_log")]
        labels = [self._get_item_label(values) for values in shown]
        # The items of a loop can be delegated to different hosts.
        each = "{{" in str(result._task.delegate_to)
        host = result._host.get_name() if each else self.host_label(result)
        return f"{status}: [{host}] {name}{_listed([str(label) for label in labels if label])}"


def described(values: Mapping[str, Any], action: str) -> list[str]:
    """The message of a result, and the values that say more about it."""
    if "censored" in values:
        return [str(values["censored"])]
    message = values.get("msg", "")
    text = "\n".join(map(_text, message if isinstance(message, list) else [message]))
    lines = text.splitlines()
    if action.startswith(COLLECTION) and "module_stderr" not in values:
        return lines
    hidden = HIDDEN | {values.get("ansible_loop_var", "item"), values.get("ansible_index_var")}
    for name, value in values.items():
        said = isinstance(value, str) and value.strip() in text
        if name not in hidden and not name.startswith("_ansible_") and value not in (None, [], {}) and not said:
            lines += _named(name, value)
    return lines


def is_rescued(task: Any) -> bool:
    """Whether the task is in a block with a rescue section, itself or by an include."""
    inner, parent = {task._uuid}, task._parent
    while parent:
        if isinstance(parent, Block) and parent.rescue and inner & {entry._uuid for entry in parent.block}:
            return True
        inner.add(parent._uuid)
        parent = parent._parent
    return False


def _is_loop(result: Any) -> bool:
    return result._task.loop is not None and "results" in result._result


def _items(result: Any) -> list[dict[str, Any]]:
    """The results of a loop, or the only one."""
    if not _is_loop(result):
        return [result._result]
    return [values for values in result._result["results"] if isinstance(values, dict)]


def _listed(labels: list[str]) -> str:
    text = ", ".join(dict.fromkeys(labels))
    return f" ({text if len(text) <= LONGEST else f'{len(labels)} items'})" if text else ""


def explained(result: Any) -> Iterator[str]:
    """Where the error is, unless the task itself is all that is known, and what Ansible advises."""
    # Before ansible-core 2.19 there is a traceback instead, which -vvv shows.
    exception = getattr(result, "exception", None)
    event, places = getattr(exception, "event", None), []
    if "censored" in result._result:
        # The excerpt of the playbook could have what the task must not show.
        return
    while event:
        places.append(event.formatted_source_context)
        if event.help_text:
            yield event.help_text
        event = event.chain.event if event.chain else None
    yield from [place for place in places if place and place != places[0]][-1:]


def _named(name: str, value: Any) -> list[str]:
    lines = (shlex.join(map(str, value)) if name == "cmd" and isinstance(value, list) else _text(value)).splitlines()
    return [f"{name}: {lines[0]}"] if len(lines) == 1 else [f"{name}:", *(f"  {line}".rstrip() for line in lines)]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    short = json.dumps(value, default=str)
    return short if len(short) <= LONGEST else json.dumps(value, default=str, indent=2)
