# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Runs the load generator once for each number of requests at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import Progress, sampled
from ansible_collections.tritonops.trtllm.plugins.module_utils.benchmark._generator import (
    TRITON,
    Load,
    Target,
    config_of,
    error_text,
    level_of,
    template_of,
)

RESULTS = "profile_export_aiperf.json"
RECORDS = "profile_export.jsonl"
LOG = "log"
LAST_LINES = 15
MOST_BYTES = 64 << 20


def measure(
    generator: str, target: Target, load: Load, numbers: t.Iterable[int], dest: str, ca_file: str = ""
) -> list[dict[str, t.Any]]:
    """The figures by the number of requests at once. The generator's own results are below `dest` afterwards."""
    partial = f"{dest}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(partial, mode=0o700)
    progress = Progress(os.path.join(partial, "progress.json"))
    levels = [_level(generator, target, load, number, partial, ca_file, progress) for number in numbers]
    os.remove(os.path.join(partial, "progress.json"))
    shutil.rmtree(dest, ignore_errors=True)
    os.rename(partial, dest)
    return levels


def _level(
    generator: str, target: Target, load: Load, at_once: int, partial: str, ca_file: str, progress: Progress
) -> dict[str, t.Any]:
    folder = os.path.join(partial, str(at_once))
    config = f"{folder}.json"
    # Its sockets are there, whose paths must be short.
    temporary = tempfile.mkdtemp(prefix="aiperf-")
    os.mkdir(folder)
    try:
        if target.api == TRITON:
            _write(f"{folder}.template", template_of(target))
        # It has the key.
        _write(config, json.dumps(config_of(target, load, at_once, folder)))
        environment = {
            **os.environ,
            "TZ": "UTC",
            "TMPDIR": temporary,
            **({"SSL_CERT_FILE": ca_file} if ca_file else {}),
        }
        # The requests to warm up have records, too.
        progress.start(f"{at_once} at once", load.requests(at_once) + at_once, "requests")
        with sampled(progress, lambda: _lines(os.path.join(folder, RECORDS))):
            _run([generator, "profile", "--config", config, "--ui", "none"], environment, folder, load.longest)
        return level_of(_results(folder), target, load, at_once)
    except ModuleFailure as exc:
        raise ModuleFailure(f"{exc}. The log of the load generator is {os.path.join(folder, LOG)}") from exc
    finally:
        os.remove(config)
        shutil.rmtree(temporary, ignore_errors=True)


def _write(path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _run(command: t.Sequence[str], environment: t.Mapping[str, str], folder: str, seconds: float) -> None:
    path = os.path.join(folder, LOG)
    with open(path, "wb") as log:
        # Its own session, so that the processes that it starts can be ended with it.
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ModuleFailure(f"the load generator did not end within {seconds:g} s, and was stopped") from None
        finally:
            _end(process)
    # It can also end with 0 after an error.
    if code or not os.path.exists(os.path.join(folder, RESULTS)):
        error = _first_error(os.path.join(folder, RECORDS))
        words = f"a request failed with {error}" if error else _last_words(path)
        raise ModuleFailure(f"the load generator failed with exit code {code}: {words}")


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _first_error(path: str) -> str:
    """Of a request; empty if there is none. If no request is answered, the generator itself does not say why."""
    try:
        with open(path, encoding="utf-8", errors="replace") as records:
            found = (json.loads(line).get("error") for line in records)
            return error_text(next(filter(None, found), {}))
    except (OSError, ValueError, AttributeError):
        return ""


def _last_words(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as log:
        lines = [line.strip(" │╭╮╰╯─•\n") for line in log]
    return " ".join([line for line in lines if line and " INFO " not in line][-LAST_LINES:])


def _results(folder: str) -> t.Mapping[str, t.Any]:
    path = os.path.join(folder, RESULTS)
    try:
        if os.path.getsize(path) > MOST_BYTES:
            raise ModuleFailure(f"the results of the load generator, {path}, are larger than {MOST_BYTES} bytes")
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError) as exc:
        raise ModuleFailure(f"the load generator wrote no results that can be read: {exc}") from exc
    if not isinstance(found, dict):
        raise ModuleFailure(f"the results of the load generator, {path}, are not a mapping")
    return found


def _lines(path: str) -> int:
    try:
        with open(path, "rb") as file:
            return sum(1 for _line in file)
    except OSError:
        return 0
