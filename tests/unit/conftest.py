# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that tests run in: the same one wherever that is."""

from __future__ import annotations

import locale
import os
import re
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# What finds and tunes the programs. A proxy, a locale, or settings of Ansible, git and the like would be the shell's.
KEPT = re.compile(r"PATH|TMPDIR|(LD_|PYTHON|PYTEST_|COV|OPENBLAS_|OMP_)\w*")
HOME = tempfile.TemporaryDirectory(prefix="home-")

# Before any test is imported, for some libraries read the environment but once.
for name in [name for name in os.environ if not KEPT.fullmatch(name)]:
    del os.environ[name]
os.environ.update(HOME=HOME.name, LC_ALL="C.UTF-8")
# Ansible wants UTF-8, and the project's files are in it.
locale.setlocale(locale.LC_ALL, "")

# The same examples on every run, however long they take.
settings.register_profile(
    "tests", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")


@pytest.fixture
def strict_umask() -> Iterator[None]:
    """The umask of a login on a hardened host."""
    umask = os.umask(0o077)
    yield
    os.umask(umask)
