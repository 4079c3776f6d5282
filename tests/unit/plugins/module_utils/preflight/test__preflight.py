# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of a host, each with what passes and what does not."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import archive_ids
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._cgroups import Container, OwnService
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import memory_total
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight import _preflight as checks
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._findings import Finding
from ansible_collections.tritonops.trtllm.tests.unit.plugins.module_utils.host.test__listeners import make_proc

CONTAINER = "c" * 64
OF_CONTAINER = OwnService(None, Container(CONTAINER, frozenset()))
PUBLISHING = OwnService(None, Container(CONTAINER, frozenset([8000])))
PUBLISHING_OTHERS = OwnService(None, Container(CONTAINER, frozenset([9])))
PROXY = "docker-proxy -host-port 8000"
WANTED = [{"port": 8000, "address": "127.0.0.1", "what": "HTTP"}, {"port": 8001, "address": "127.0.0.1", "what": None}]
CONFIG = b'{"rootfs": {}}'
CONFIG_ID = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"
ID_A, ID_B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def holder(command: str, *cgroups: str) -> dict[int, dict[str, t.Any]]:
    return {4242: {"sockets": ["101"], "command": command, "cgroups": cgroups}}


def ids(findings: list[Finding]) -> list[str]:
    return [finding["id"] for finding in findings]


# --- ports


def test_taken_port_names_who_has_it(tmp_path: Path) -> None:
    proc = make_proc(tmp_path / "proc", holder("nginx -g daemon", "/system.slice/nginx.service"))
    (finding,) = checks.check_ports(WANTED, OwnService("trtllm.service"), "my_ports", proc)
    assert finding == {
        "id": "port_taken",
        "severity": "error",
        "message": "port 8000 on 127.0.0.1 (HTTP) is taken by pid 4242: nginx -g daemon (it listens on 127.0.0.1)",
        "remedy": "stop it, or choose another port in my_ports",
    }


def test_holder_that_cannot_be_seen(tmp_path: Path) -> None:
    proc = make_proc(tmp_path / "proc", {})
    assert "another user" in checks.check_ports(WANTED, OwnService(), "ports", proc)[0]["message"]


@pytest.mark.parametrize(
    ("command", "cgroup", "own", "mine"),
    [
        ("tritonserver", "/system.slice/trtllm.service", OwnService("trtllm.service"), True),
        ("tritonserver", "/system.slice/not-trtllm.service", OwnService("trtllm.service"), False),
        ("tritonserver", f"/docker/{CONTAINER}", OF_CONTAINER, True),
        ("tritonserver", f"/system.slice/docker-{CONTAINER}.scope", OF_CONTAINER, True),
        ("tritonserver", "/docker/" + "d" * 64, OF_CONTAINER, False),
        (PROXY, "/system.slice/docker.service", PUBLISHING, True),
        (PROXY, "/system.slice/docker.service", PUBLISHING_OTHERS, False),
        ("nginx", "/system.slice/docker.service", PUBLISHING, False),
        ("nginx", "/", OwnService(), False),
    ],
)
def test_own_service_may_have_the_port(tmp_path: Path, command: str, cgroup: str, own: OwnService, mine: bool) -> None:
    proc = make_proc(tmp_path / "proc", holder(command, cgroup))
    assert ids(checks.check_ports(WANTED, own, "ports", proc)) == ([] if mine else ["port_taken"])


# --- memory


def test_memory() -> None:
    total = memory_total()
    assert total > 10**8
    assert checks.check_memory(total, total, "model") == []
    (finding,) = checks.check_memory(64_000_000_000, 16_000_000_000, "my_model")
    assert finding["message"] == "the host has 16 GB of memory, 64 GB is needed"
    assert "my_model" in finding["remedy"]


# --- the system


def test_architecture() -> None:
    assert checks.check_architecture("x86_64", ["x86_64", "aarch64"]) == []
    assert checks.check_architecture("riscv64", []) == []
    assert ids(checks.check_architecture("riscv64", ["x86_64"])) == ["architecture"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('ID=debian\nVERSION_ID="12"\n', []),
        ('ID=ubuntu\nVERSION_ID="24.04"\n', []),
        ("ID=debian\n", []),
        ('ID=debian\nVERSION_ID="11"\n', ["os_unsupported error"]),
        ('ID=ubuntu\nVERSION_ID="20.04"\n', ["os_unsupported error"]),
        ('ID="ol"\nVERSION_ID="9.4"\n', ["os_untested warning"]),
        ("", ["os_untested warning"]),
    ],
)
def test_system(tmp_path: Path, text: str, found: list[str]) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text("NAME=x\n" + text)
    findings = checks.check_os(checks.os_release(str(tmp_path)), {"debian": "12", "ubuntu": "22.04"})
    assert ["{id} {severity}".format(**finding) for finding in findings] == found


def test_systemd(tmp_path: Path) -> None:
    assert ids(checks.check_systemd(str(tmp_path))) == ["systemd"]
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert checks.check_systemd(str(tmp_path)) == []


# --- image archive and engine


def saved(name: str) -> dict[str, bytes]:
    """What docker save writes of an image whose configuration has that name in the archive."""
    return {name: CONFIG, "manifest.json": json.dumps([{"Config": name, "Layers": []}]).encode()}


def archive(path: Path, members: t.Mapping[str, bytes], mode: str = "w") -> str:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return str(path)


@pytest.mark.parametrize("name", [f"{CONFIG_ID[7:]}.json", f"blobs/sha256/{CONFIG_ID[7:]}"])
def test_archive_with_the_right_image(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "image.tar", saved(name))
    assert checks.check_archive(path, CONFIG_ID, "archive") == []
    assert checks.check_archive(path, None, "archive") == []


def test_an_engine_with_containerd_knows_the_image_by_its_manifest(tmp_path: Path) -> None:
    """What trtllm_image takes, preflight takes as well."""
    index = {"index.json": json.dumps({"manifests": [{"digest": ID_A}]}).encode()}
    path = archive(tmp_path / "image.tar", {**saved("config.json"), **index})
    assert archive_ids(path) == {CONFIG_ID, ID_A}
    assert checks.check_archive(path, ID_A, "archive") == checks.check_archive(path, CONFIG_ID, "archive") == []


def test_archive_with_another_image_names_both(tmp_path: Path) -> None:
    (finding,) = checks.check_archive(archive(tmp_path / "image.tar", saved("config.json")), ID_B, "my_image")
    assert finding["id"] == "archive_image"
    assert CONFIG_ID in finding["message"] and ID_B in finding["message"] and "my_image" in finding["remedy"]


def test_archive_that_is_none(tmp_path: Path) -> None:
    assert ids(checks.check_archive(str(tmp_path / "missing.tar"), ID_A, "archive")) == ["archive_missing"]
    (tmp_path / "text").write_text("not a tar " * 100)
    for path in (archive(tmp_path / "other.tar", {"other.json": b"[]"}), str(tmp_path / "text")):
        assert ids(checks.check_archive(path, ID_A, "archive")) == ["archive_unreadable"]


def test_compressed_archive_is_a_warning(tmp_path: Path) -> None:
    path = archive(tmp_path / "image.tgz", saved("config.json"), mode="w:gz")
    (finding,) = checks.check_archive(path, ID_A, "archive")
    assert (finding["id"], finding["severity"]) == ("archive_unchecked", "warning")


def test_engine_of_another_image(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    assert checks.check_engine(str(engine), ID_A, "engine") == []
    engine.mkdir()
    (engine / "artifact.json").write_text(json.dumps({"inputs": {"image": ID_A}}))
    assert checks.check_engine(str(engine), ID_A, "engine") == []
    (finding,) = checks.check_engine(str(engine), ID_B, "engine")
    assert finding["id"] == "engine_image"
    assert ID_A in finding["message"] and ID_B in finding["message"]
