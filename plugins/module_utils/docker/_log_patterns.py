# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Explains the logs of Triton, TensorRT-LLM and their build tools. Private to the collection.

The known failures are in catalogue/log_patterns.yml, on the control node. A module gets them in an option that its
action plugin sets.
"""

from __future__ import annotations

import json
import os
import re
import typing as t
from contextlib import contextmanager

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import open_regular

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# How much of the end of a log is read: an error further up is hidden by what follows it anyway.
LOG_READ = 256 * 1024
LAST_LINES = 12

LOG_PATTERNS_ARGUMENT: dict[str, dict[str, t.Any]] = {
    # Not a secret, but too long for the host's journal, where Ansible logs every option.
    "log_patterns": {"type": "str", "no_log": True},
}


class LogPattern(t.NamedTuple):
    """A known failure. One without a regular expression leaves no line in a log."""

    name: str
    regex: t.Pattern[str] | None
    cause: str
    remedy: str
    follow_up: bool  # says that something failed, but not what

    def explanation(self, line: str) -> dict[str, str]:
        return {"id": self.name, "cause": self.cause, "remedy": self.remedy, "line": line}


LogPatterns = t.Sequence[LogPattern]


def read_log_patterns(text: str) -> LogPatterns:
    """The known failures in the JSON that the action plugin passes."""
    return [
        LogPattern(
            name=entry["name"],
            regex=re.compile("|".join(entry["patterns"]), re.MULTILINE) if entry.get("patterns") else None,
            cause=entry["cause"],
            remedy=entry["remedy"],
            follow_up=entry.get("follow_up", False),
        )
        for entry in json.loads(text)
    ]


def log_patterns_of(module: AnsibleModule) -> LogPatterns:
    """The known failures passed to the module; none if it runs without its action plugin."""
    try:
        return read_log_patterns(module.params["log_patterns"] or "[]")
    except (KeyError, TypeError, ValueError, re.error) as exc:
        message = f"log_patterns cannot be read: {exc!r}. Leave it out: the action plugin sets it"
        raise ModuleFailure(message) from exc


def _line_at(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    return text[start : end if end >= 0 else len(text)].strip()


# A healthy server starts with many warnings. Some of them, such as about a missing key, are errors of another server.
_WARNING = re.compile(
    r"^.*?(?:\bW\d{4} \d\d:\d\d:|\[WARNING\]|\[TRT(?:-LLM)?\](?: \[RANK \d+\])? \[W\]|\bWARNING: |\w+Warning: ).*$",
    re.MULTILINE,
)


def explain(log: str, known: LogPatterns) -> list[dict[str, str]]:
    """Every known failure in a log, earliest first; follow-ups only if nothing else is found."""
    errors = _WARNING.sub(lambda line: " " * len(line.group()), log)
    matches = [(pattern, pattern.regex.search(errors)) for pattern in known if pattern.regex]
    found = sorted(((match.start(), pattern) for pattern, match in matches if match), key=lambda hit: hit[0])
    causes = [hit for hit in found if not hit[1].follow_up]
    return [pattern.explanation(_line_at(log, position)) for position, pattern in causes or found]


@contextmanager
def explaining(failed: str, known: LogPatterns) -> t.Iterator[None]:
    """Add what failed, and its known cause, to the server's error message."""
    try:
        yield
    except ModuleFailure as exc:
        found = explain(str(exc), known)
        remedy = f" Known cause: {found[0]['cause']} Remedy: {found[0]['remedy']}" if found else ""
        raise ModuleFailure(f"{failed}: {exc}.{remedy}", explanations=found) from exc


def log_tail(path: str, begin: int = 0) -> str:
    """The end of a log, not before the offset `begin`."""
    with open_regular(path) as stream:
        stream.seek(max(begin, os.path.getsize(path) - LOG_READ))
        return stream.read().decode("utf-8", "replace")


def failure_text(what: str, log: str, path: str, known: LogPatterns) -> str:
    """One message about a failed tool: the known cause, if there is one, and the last lines of its log."""
    cause = [f"Cause: {hit['cause']} Remedy: {hit['remedy']}" for hit in explain(log, known)[:1]]
    last = "\n".join(log.rstrip().splitlines()[-LAST_LINES:]) or "(nothing)"
    return "\n".join([what, *cause, f"The last lines of its log ({path}):", last])


# Forms of the server's own error messages, the most specific first. Since 24.04 Triton quotes messages and escapes
# newlines in them.
_END = r"\s*(?:\\n|\"?$)"
_E_LINE = r"^E\d{4} [\d:.]+\s+\d+ \S+\] "
# Errors that every server without a GPU logs, without consequences.
_HARMLESS = (
    r"(?!\"?(?:CudaDriverHelper has not been initialized|unable to create stream for |failed to enable peer access))"
)
_REASONS: tuple[t.Pattern[str], ...] = tuple(
    re.compile(expression, re.MULTILINE)
    for expression in (
        r"(failed to load '[^']+' version \d+: .+?)" + _END,
        r"^\|\s*([^|\s]+)\s*\|\s*\d+\s*\|\s*UNAVAILABLE: (.+?)\s*\|\s*$",
        r"(Poll failed for model directory '.+?)" + _END,
        r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(\S.*)$",
        _E_LINE + _HARMLESS + r"\"?(.+?)" + _END,
        r"^error: (.+)$",
    )
)


def server_reason(log: str) -> str:
    """The server's own message about why it failed; empty if there is none."""
    for pattern in _REASONS:
        match = pattern.search(log)
        if match:
            return ": ".join(match.groups())
    return ""
