# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection installed from its own tarball, and teardown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from host_comparison import differences
from site_under_test import FOUND, PROJECT, Site

pytestmark = pytest.mark.long

GALAXY = Path(sys.executable).with_name("ansible-galaxy")


def test_the_collection_runs_from_its_tarball(site: Site, tmp_path: Path) -> None:
    subprocess.run([GALAXY, "collection", "build", "--output-path", tmp_path], cwd=PROJECT, check=True)
    (tarball,) = tmp_path.glob("tritonops-trtllm-*.tar.gz")
    installed = tmp_path / "installed"
    # --force, because this checkout is already installed. The package ansible contains the dependency.
    subprocess.run([GALAXY, "collection", "install", "--force", "--no-deps", "-p", installed, tarball], check=True)
    played = site.play("verify", "-vv", environment={"ANSIBLE_COLLECTIONS_PATH": str(installed)})
    assert played.returncode == 0
    assert f"task path: {installed}/ansible_collections/tritonops/trtllm/roles/release_service/" in played.output


def test_teardown_keeps_what_trtllm_keep_lists(site: Site) -> None:
    assert site.play("teardown").returncode == 0
    assert site.read("ls", "--almost-all", site.root).split() == [".trtllm", "weights"]
    assert site.run("systemctl", "cat", "trtllm@.service", check=False).returncode != 0
    assert site.run("getent", "passwd", "trtllm", check=False).returncode != 0
    # The collection installed Docker, so containers, images and networks are gone with it.
    assert site.run("sh", "-c", "command -v docker", check=False).returncode != 0
    assert ":8000" not in site.read("ss", "-ltnH")


def test_teardown_leaves_the_host_as_it_was_found(site: Site) -> None:
    predicted = site.play("teardown", "--check", variables={"trtllm_keep": []})
    assert predicted.returncode == 0 and predicted.changed > 0
    played = site.play("teardown", variables={"trtllm_keep": []})
    assert played.returncode == 0
    # Not from the collection, but from test_4_with_gateway.py.
    site.run("rm", "-rf", "/opt/haproxy", "/usr/local/sbin/haproxy")
    found, left = json.loads(FOUND.read_text()), site.snapshot()
    assert differences(found, left) == {}
    assert site.play("teardown", variables={"trtllm_keep": []}).changed == 0
