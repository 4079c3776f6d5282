# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be made to happen with a real HAProxy, which tests/unit/gateway has."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy import _runtime
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import Runtime


@contextmanager
def ending(path: Path, resets: int) -> Iterator[None]:
    """A process that resets some connections, because it closes them with a command that it has not read."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            # The test closes the listener when it has seen enough.
            with suppress(OSError):
                for number in range(resets + 1):
                    connection, _address = listener.accept()
                    with connection:
                        connection.recv(1, socket.MSG_PEEK)
                        if number == resets:
                            connection.recv(1 << 10)
                            connection.sendall(b"2.8.25\n")

        threading.Thread(target=serve, daemon=True).start()
        yield


def test_a_process_that_ends_is_followed_by_another(tmp_path: Path) -> None:
    with ending(tmp_path / "socket", resets=3):
        assert Runtime(str(tmp_path / "socket")).is_running()


def test_a_process_that_only_resets_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_runtime, "_ATTEMPT_SECONDS", 0)
    with ending(tmp_path / "socket", resets=99):
        assert not Runtime(str(tmp_path / "socket")).is_running()


def test_a_missing_or_abandoned_socket_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    assert not Runtime(str(path)).is_running()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    assert not Runtime(str(path)).is_running()
