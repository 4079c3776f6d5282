# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment of the tests, which is the same on every machine."""

from __future__ import annotations

import locale
import os
import re
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Variables that programs need. Proxies, locales, and settings of Ansible, git and others would come from the shell.
KEPT = re.compile(r"PATH|TMPDIR|(LD_|PYTHON|PYTEST_|COV|OPENBLAS_|OMP_)\w*")
HOME = tempfile.TemporaryDirectory(prefix="home-")

# Before any test is imported, because some libraries read the environment only once.
for name in [name for name in os.environ if not KEPT.fullmatch(name)]:
    del os.environ[name]
os.environ.update(HOME=HOME.name, LC_ALL="C.UTF-8")
# Ansible requires UTF-8, and the project's files use it.
locale.setlocale(locale.LC_ALL, "")

# The same examples on every run, without a time limit.
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
