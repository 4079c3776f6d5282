# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook observe writes the targets of the whole fleet, or nothing."""

from __future__ import annotations

import grp
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import IMAGE, host
from cryptography import x509

PROJECT = Path(__file__).parents[3]


def observe(folder: Path, hosts: list[str], known: list[str]) -> subprocess.CompletedProcess[str]:
    """Run it for hosts, of which these have recorded facts, with files in the folder."""
    (folder / "facts.json").write_text(json.dumps({"hosts": {name: host() for name in known}}), encoding="utf-8")
    variables: dict[str, Any] = {
        "trtllm_model": "mixtral-8x7b-instruct",
        "trtllm_release": "1.2.1",
        "trtllm_image": IMAGE,
        "trtllm_gateway_authority": str(folder / "authority"),
        "trtllm_gateway_keys": str(folder / "keys.yml"),
        "trtllm_endpoint": {"exporters": [{"name": "node", "port": 9100}]},
        "trtllm_prometheus_source": "existing",
        "observability_rules_folder": str(folder / "rules"),
        "observability_targets_folder": str(folder / "targets"),
        "observability_group": grp.getgrgid(os.getgid()).gr_name,
        "observability_promtool": "",
        "observability_service": "",
    }
    local = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}
    groups = {
        "all": {"vars": variables},
        "trtllm": {"hosts": dict.fromkeys(hosts)},
        "gateway": {"hosts": {"gw1": None}},
        "monitoring": {"hosts": {"prom1": local}},
    }
    (folder / "hosts.json").write_text(json.dumps(groups), encoding="utf-8")
    program = Path(sys.executable).with_name("ansible-playbook")
    command = [program, "-i", folder / "hosts.json", PROJECT / "playbooks/observe.yml"]
    command += ["-e", f"trtllm_host_facts_file={folder}/facts.json"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "default"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.long
def test_every_host_and_gateway_is_a_target(tmp_path: Path) -> None:
    done = observe(tmp_path, ["g1", "g2"], ["g1", "g2"])
    assert done.returncode == 0, done.stdout + done.stderr
    files = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "targets").glob("*.json")}
    found = {job: [group["targets"] for group in groups] for job, groups in files.items()}
    hosts, gateway = [["g1:8443"], ["g2:8443"]], [["gw1:9405"]]
    assert found == {
        "trtllm-model-server": hosts,
        "trtllm-endpoint": hosts,
        "trtllm-node": hosts,
        "trtllm-dcgm": [],
        "trtllm-gateway": gateway,
        "trtllm-gateway-keys": gateway,
        "trtllm-certificates": [["gw1:443"]],
    }
    assert files["trtllm-model-server"][1]["labels"]["host"] == "g2"
    # The certificate that endpoints and gateways expect of a host of the group monitoring.
    certificate, authority = (
        x509.load_pem_x509_certificate((tmp_path / "targets" / name).read_bytes())
        for name in ("monitoring.pem", "ca.pem")
    )
    assert {"CN=prom1", "OU=monitoring"} <= set(certificate.subject.rfc4514_string().split(","))
    certificate.verify_directly_issued_by(authority)
    jobs = yaml.safe_load((tmp_path / "targets/scrape.yml").read_text())["scrape_configs"]
    scraped = [job["tls_config"]["cert_file"] for job in jobs if job["job_name"] != "trtllm-certificates"]
    assert set(scraped) == {str(tmp_path / "targets/monitoring.pem")}


def test_nothing_is_written_if_a_host_would_be_forgotten(tmp_path: Path) -> None:
    done = observe(tmp_path, ["g1", "g2"], ["g1"])
    assert done.returncode != 0 and "g2" in done.stdout and not (tmp_path / "targets").exists()
