# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from ansible.plugins.loader import filter_loader, init_plugin_loader
init_plugin_loader()
from ansible_collections.tritonops.trtllm.plugins.action import trtllm_plan
import importlib.util
importlib.util.spec_from_file_location = None  # What the loader needs for a module that was not imported yet.
print(filter_loader.get("tritonops.trtllm.preflight_table").ansible_name)
"""


def test_workers_need_not_load_the_filters() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "tritonops.trtllm.preflight_table", done.stderr
