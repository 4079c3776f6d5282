# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that are issued on the control node and written to a host."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.tasks import Tasks


def certificate(folder: Path, **options: Any) -> dict[str, Any]:
    own = {
        "authority": str(folder / "authority"),
        "name": "gpu1",
        "purpose": "server",
        "dest": str(folder / "host.pem"),
    }
    return {"tritonops.trtllm.certificate": {**own, **options}}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.long
def test_a_certificate_is_issued_once(tmp_path: Path) -> None:
    tasks = Tasks(tmp_path)
    first, second, renewed, other, moved = tasks.run(
        certificate(tmp_path),
        certificate(tmp_path, mode="0640"),
        certificate(tmp_path, renew_days=731, mode="0640"),
        certificate(tmp_path, names=["gpu1", "10.0.0.1"], mode="0640"),
        certificate(tmp_path, names=["gpu1", "10.0.0.1"], mode="0600"),
    )
    assert (first["changed"], first["reason"]) == (True, "does not exist")
    # Only the mode of the file.
    assert (second["changed"], second["reason"], second["mode"]) == (True, "", "0640")
    assert (renewed["changed"], renewed["reason"]) == (True, "is valid for 729 more days")
    assert (other["changed"], other["reason"]) == (True, "has other names")
    assert (moved["changed"], moved["reason"]) == (True, "")
    assert not tasks.run(certificate(tmp_path, names=["gpu1", "10.0.0.1"]))[0]["changed"]
    assert mode(tmp_path / "authority") == 0o700 and mode(tmp_path / "authority/ca.key") == 0o600
    assert mode(tmp_path / "authority/ca.pem") == 0o644 and mode(tmp_path / "host.pem") == 0o600


def test_no_private_key_is_printed_or_left(tmp_path: Path) -> None:
    tasks = Tasks(tmp_path)
    tasks.run(certificate(tmp_path), certificate(tmp_path, purpose="gateway"))
    assert "PRIVATE KEY" not in tasks.output
    for secret in (tmp_path / "host.pem", tmp_path / "authority/ca.key"):
        line = secret.read_text().split("PRIVATE KEY-----")[1].splitlines()[1]
        assert line not in tasks.output


@pytest.mark.long
def test_check_mode_creates_nothing(tmp_path: Path) -> None:
    (result,) = Tasks(tmp_path).run(certificate(tmp_path), options=("--check",))
    assert result["changed"] and not (tmp_path / "authority").exists() and not (tmp_path / "host.pem").exists()
    Tasks(tmp_path).run(certificate(tmp_path))
    before = (tmp_path / "host.pem").read_bytes()
    same, other = Tasks(tmp_path).run(certificate(tmp_path), certificate(tmp_path, name="gpu2"), options=("--check",))
    assert not same["changed"] and other["changed"] and (tmp_path / "host.pem").read_bytes() == before


@pytest.mark.long
def test_the_key_may_be_encrypted_with_vault(tmp_path: Path) -> None:
    Tasks(tmp_path).run(certificate(tmp_path))
    (tmp_path / "password").write_text("hunter2")
    vault = Path(sys.executable).with_name("ansible-vault")
    password = f"--vault-password-file={tmp_path / 'password'}"
    subprocess.run(
        [str(vault), "encrypt", password, str(tmp_path / "authority/ca.key")], check=True, capture_output=True
    )
    (result,) = Tasks(tmp_path).run(certificate(tmp_path, name="gpu2"), options=(password,))
    assert result["reason"] == "has other names"
    (failed,) = Tasks(tmp_path).run(certificate(tmp_path))
    assert failed["failed"] and "vault" in failed["msg"].lower()


@pytest.mark.long
def test_a_damaged_authority_is_never_replaced(tmp_path: Path) -> None:
    Tasks(tmp_path).run(certificate(tmp_path))
    (tmp_path / "authority/ca.pem").unlink()
    (result,) = Tasks(tmp_path).run(certificate(tmp_path))
    assert result["failed"] and "which belong together" in result["msg"]
    (tmp_path / "authority/ca.pem").write_text("x")
    assert Tasks(tmp_path).run(certificate(tmp_path))[0]["failed"]


@pytest.mark.long
def test_an_authority_is_replaced_as_the_guide_says(tmp_path: Path) -> None:
    """docs/gateway.md: at each step, hosts trust the certificates that are in use."""
    tasks, old, new = Tasks(tmp_path), tmp_path / "authority", tmp_path / "new"
    tasks.run(certificate(tmp_path), certificate(tmp_path, authority=str(new), dest=str(tmp_path / "other.pem")))
    first, second = (old / "ca.pem").read_text(), (new / "ca.pem").read_text()
    (old / "ca.pem").write_text(first + second)
    assert not tasks.run(certificate(tmp_path))[0]["changed"]
    (old / "ca.key").write_bytes((new / "ca.key").read_bytes())
    (old / "ca.pem").write_text(second + first)
    (issued,) = tasks.run(certificate(tmp_path))
    assert issued["changed"] and "another authority" in issued["reason"]
    (old / "ca.pem").write_text(second)
    assert not tasks.run(certificate(tmp_path))[0]["changed"]


@pytest.mark.long
def test_without_a_folder_the_authority_is_that_of_the_run(tmp_path: Path) -> None:
    def issued(name: str) -> dict[str, Any]:
        options = {"name": name, "purpose": "transfer", "dest": str(tmp_path / f"{name}.pem"), "days": 2}
        return {"tritonops.trtllm.certificate": {**options, "renew_days": 1}}

    first, second, again = Tasks(tmp_path).run(issued("a"), issued("b"), issued("a"))
    assert first["authority_certificate"] == second["authority_certificate"]
    assert first["authority_certificate"].startswith("-----BEGIN CERTIFICATE-----")
    assert (again["changed"], again["reason"]) == (False, "")
    # That of the next run is another one, because nothing of the first one is left.
    (other,) = Tasks(tmp_path).run(issued("a"))
    assert other["reason"] == "is of another authority"
    assert other["authority_certificate"] != first["authority_certificate"]
