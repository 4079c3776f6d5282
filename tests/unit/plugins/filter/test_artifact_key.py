# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.filter.artifact_key import key_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import artifact_key


def test_a_template_has_the_same_key_as_plain_values(tmp_path):
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"gpu": "A100", "inputs": {"argv": ["a", "{{ 1 + 1 }}", True], "gpu": "{{ gpu }}", "none": None}},
        "tasks": [
            {
                "ansible.builtin.assert": {"that": "inputs | tritonops.trtllm.artifact_key == expected"},
                "vars": {"expected": artifact_key({"argv": ["a", 2, True], "gpu": "A100", "none": None})},
            }
        ],
    }
    path = tmp_path / "play.json"
    path.write_text(json.dumps([play]))
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("value, words", [(["a"], "requires a dictionary"), ({"a": {1}}, "plain JSON values, not set")])
def test_what_has_no_key(value, words):
    with pytest.raises(AnsibleFilterError, match=words):
        key_of(value)
