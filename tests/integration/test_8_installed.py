# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection out of its own tarball, by its full name, and the way out again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from host_comparison import different
from site_under_test import FOUND, PROJECT, Site

GALAXY = Path(sys.executable).with_name("ansible-galaxy")


def test_it_runs_from_its_own_tarball(site: Site, tmp_path: Path) -> None:
    subprocess.run([GALAXY, "collection", "build", "--output-path", tmp_path], cwd=PROJECT, check=True)
    (tarball,) = tmp_path.glob("tritonops-trtllm-*.tar.gz")
    installed = tmp_path / "installed"
    # By force, for this checkout is installed already. The dependency is there, in the ansible package.
    subprocess.run([GALAXY, "collection", "install", "--force", "--no-deps", "-p", installed, tarball], check=True)
    played = site.play("verify", "-vv", environment={"ANSIBLE_COLLECTIONS_PATH": str(installed)})
    assert played.returncode == 0
    assert f"task path: {installed}/ansible_collections/tritonops/trtllm/roles/triton_service/" in played.output


def test_teardown_leaves_what_it_is_told_to_keep(site: Site) -> None:
    assert site.play("teardown").returncode == 0
    assert site.read("ls", "--almost-all", site.root).split() == [".trtllm", "weights"]
    assert site.run("systemctl", "cat", "trtllm@.service", check=False).returncode != 0
    assert site.run("getent", "passwd", "trtllm", check=False).returncode != 0
    # The engine came by us, and with it went containers, images and networks.
    assert site.run("sh", "-c", "command -v docker", check=False).returncode != 0
    assert ":8000" not in site.read("ss", "-ltnH")


def test_teardown_leaves_the_host_as_it_was_found(site: Site) -> None:
    predicted = site.play("teardown", "--check", variables={"trtllm_keep": []})
    assert predicted.returncode == 0 and predicted.changed > 0
    played = site.play("teardown", variables={"trtllm_keep": []})
    assert played.returncode == 0
    found, left = json.loads(FOUND.read_text()), site.snapshot()
    assert different(found, left) == {}
    assert site.play("teardown", variables={"trtllm_keep": []}).changed == 0
