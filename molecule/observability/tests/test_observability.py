# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The distribution's Prometheus watches a host and a gateway, and only this host can ask it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from testinfra.host import Host

SERVICES = ["prometheus", "prometheus-alertmanager", "prometheus-blackbox-exporter"]
JOBS = ["certificates", "endpoint", "gateway", "gateway-keys", "model-server", "node"]


def api(host: Host, path: str, port: int = 9090) -> Any:
    return json.loads(host.check_output(f"curl --silent --show-error --fail 'http://127.0.0.1:{port}/api/{path}'"))[
        "data"
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_the_services_run(host: Host, service: str) -> None:
    assert host.service(service).is_running and host.service(service).is_enabled


def test_nothing_listens_on_other_addresses(host: Host) -> None:
    lines = host.check_output("ss --listening --tcp --numeric --no-header --processes").splitlines()
    addresses = {line.split()[3] for line in lines if "prometheus" in line and "node" not in line}
    assert addresses == {"127.0.0.1:9090", "127.0.0.1:9093", "127.0.0.1:9115"}


def test_everything_is_scraped(host: Host) -> None:
    # The dates of certificates are read every five minutes.
    for _attempt in range(60):
        targets = api(host, "v1/targets?state=active")["activeTargets"]
        if all(
            target["lastScrape"] > "0001-01-02" for target in targets if target["scrapePool"] != "trtllm-certificates"
        ):
            break
        time.sleep(1)
    found = {target["scrapePool"]: target for target in targets}
    assert sorted(found) == [f"trtllm-{name}" for name in JOBS]
    for job in JOBS[1:]:
        target = found[f"trtllm-{job}"]
        assert target["health"] == "up", target["lastError"]
        assert target["labels"]["host"] == "host"
    assert found["trtllm-model-server"]["labels"]["deployment"] == "default"


def test_the_exporters_metrics_come_through_the_endpoint(host: Host) -> None:
    (series,) = api(host, "v1/query?query=node_uname_info%7Bjob=%22trtllm-node%22%7D")["result"]
    assert series["metric"]["instance"] == "localhost:8443"


def test_the_dates_of_certificates_are_read(host: Host) -> None:
    text = host.check_output(
        "curl --silent --fail 'http://127.0.0.1:9115/probe?module=trtllm_certificate&target=localhost:443'"
    )
    assert "probe_success 1" in text and "probe_ssl_earliest_cert_expiry" in text


def test_the_rules_are_loaded_and_alertmanager_is_known(host: Host) -> None:
    groups = {group["name"] for group in api(host, "v1/rules")["groups"]}
    assert {"trtllm records", "trtllm budgets", "trtllm serving", "trtllm hosts", "trtllm gateway"} <= groups
    managers = api(host, "v1/alertmanagers")["activeAlertmanagers"]
    assert [manager["url"] for manager in managers] == ["http://127.0.0.1:9093/api/v2/alerts"]


def test_a_page_goes_to_its_receiver(host: Host) -> None:
    route = "amtool config routes test --config.file=/etc/prometheus/alertmanager.yml "
    assert host.check_output(route + "severity=page") == "page"
    assert host.check_output(route + "severity=ticket") == "ticket"


@pytest.mark.parametrize("file", ["/etc/prometheus/trtllm-targets/monitoring.pem", "/etc/prometheus/alertmanager.yml"])
def test_others_can_read_no_secret(host: Host, file: str) -> None:
    assert host.run(f"runuser --user nobody -- cat {file}").rc != 0
    assert host.file(file).content_string
