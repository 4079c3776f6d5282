# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role observability installs exactly the files of the collection, and no rules that promtool refuses."""

from __future__ import annotations

import grp
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.template import trust_as_template
from ansible_collections.tritonops.trtllm.tests.unit.observability.promtool import program, promtool
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import Role
from cryptography import x509

PROJECT = Path(__file__).parents[3]
FILES = PROJECT / "roles/observability/files"
PLAY = [{"hosts": "localhost", "gather_facts": False, "roles": ["tritonops.trtllm.observability"]}]


def install(
    folder: Path, *options: str, checker: str | None = None, **variables: Any
) -> subprocess.CompletedProcess[str]:
    playbook = folder / "play.yml"
    playbook.write_text(yaml.safe_dump(PLAY), encoding="utf-8")
    variables = {
        "ansible_python_interpreter": sys.executable,
        "observability_rules_folder": str(folder / "rules"),
        "observability_dashboards_folder": str(folder / "dashboards"),
        "observability_promtool": checker or promtool(),
        "observability_service": "",
        **variables,
    }
    command = [
        Path(sys.executable).with_name("ansible-playbook"),
        "-i",
        "localhost,",
        "-c",
        "local",
        *options,
        playbook,
    ]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "default"}
    return subprocess.run(
        [*command, "-e", json.dumps(variables)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=folder,
    )


def changes(run: subprocess.CompletedProcess[str]) -> int:
    assert run.returncode == 0, run.stdout + run.stderr
    return int(re.findall(r"changed=(\d+)", run.stdout)[0])


@pytest.mark.long
def test_the_files_are_installed_once(tmp_path: Path) -> None:
    assert changes(install(tmp_path, "--check")) == 3
    assert not (tmp_path / "rules").exists() and not (tmp_path / "dashboards").exists()
    assert changes(install(tmp_path)) == 3
    for kind in ("rules", "dashboards"):
        installed = {path.name: path.read_bytes() for path in (tmp_path / kind).iterdir()}
        assert installed == {path.name: path.read_bytes() for path in (FILES / kind).iterdir()}
    assert changes(install(tmp_path)) == 0


def test_rules_that_promtool_refuses_are_not_installed(tmp_path: Path) -> None:
    refused = install(tmp_path, checker="/bin/false")
    assert refused.returncode != 0 and "failed to validate" in refused.stdout + refused.stderr
    assert list((tmp_path / "rules").iterdir()) == []


@pytest.mark.long
def test_targets_are_written_with_a_certificate_and_the_jobs(tmp_path: Path) -> None:
    group = {"targets": ["gpu1:8443"], "labels": {"host": "gpu1", "__metrics_path__": "/chat/metrics"}}
    options = {
        "observability_targets": {"trtllm-model-server": [group]},
        "observability_targets_folder": str(tmp_path / "targets"),
        "observability_authority": str(tmp_path / "authority"),
        "observability_group": grp.getgrgid(os.getgid()).gr_name,
    }
    assert changes(install(tmp_path, **options)) == 7
    written = {path.name: path for path in (tmp_path / "targets").iterdir()}
    assert json.loads(written["trtllm-model-server.json"].read_text()) == [group]
    assert json.loads(written["trtllm-gateway.json"].read_text()) == []
    certificate = x509.load_pem_x509_certificate(written["monitoring.pem"].read_bytes())
    assert "OU=monitoring" in certificate.subject.rfc4514_string()
    assert written["monitoring.pem"].stat().st_mode & 0o777 == 0o640
    jobs = {job["job_name"]: job for job in yaml.safe_load(written["scrape.yml"].read_text())["scrape_configs"]}
    files = {name: job["file_sd_configs"][0]["files"] for name, job in jobs.items()}
    assert files == {path.stem: [str(path)] for path in written.values() if path.suffix == ".json"}
    assert changes(install(tmp_path, **options)) == 0
    refused = install(tmp_path, **{**options, "observability_authority": ""})
    assert refused.returncode != 0 and "observability_authority is required" in refused.stdout


def test_alertmanager_accepts_its_configuration(tmp_path: Path) -> None:
    receivers = {"page": {"webhook_configs": [{"url": "http://127.0.0.1:9999/hook"}]}}
    role = Role("observability", "debian-12", ansible_managed="managed", observability_receivers=receivers)
    file = tmp_path / "alertmanager.yml"
    file.write_text(role.render(trust_as_template((role.folder / "templates/alertmanager.yml.j2").read_text())))
    amtool = program("amtool")
    subprocess.run([amtool, "check-config", file], check=True, capture_output=True)
    for severity in ("page", "ticket"):
        command = [amtool, "config", "routes", "test", f"--config.file={file}", f"severity={severity}"]
        routed = subprocess.run(command, check=True, capture_output=True, text=True)
        assert routed.stdout.strip() == severity
