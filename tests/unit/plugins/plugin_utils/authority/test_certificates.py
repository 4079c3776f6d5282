# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of the collection's authority."""

from __future__ import annotations

import ssl
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.authority._certificates import (
    Wanted,
    issue,
    new_authority,
    outdated,
    read_authority,
)
from cryptography import x509

NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)
AUTHORITY = read_authority(*new_authority("test", NOW))
WANTED = Wanted("gpu1", "gateway", ("gpu1", "10.0.0.1", "fd00::1"), 730, 60)


def changed(**values: Any) -> Wanted:
    return Wanted(**{**WANTED.__dict__, **values})


def test_a_certificate_has_its_name_purpose_and_addresses() -> None:
    certificate = x509.load_pem_x509_certificate(issue(AUTHORITY, WANTED, NOW))
    assert certificate.subject.rfc4514_string() == "CN=gpu1,OU=gateway"
    certificate.verify_directly_issued_by(AUTHORITY.certificate)
    assert timedelta(days=730) <= certificate.not_valid_after_utc - NOW
    assert certificate.not_valid_before_utc < NOW


def test_openssl_verifies_it_for_its_purpose_only(tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    key, certificate = new_authority("test", now)
    authority = read_authority(key, certificate)
    (tmp_path / "ca.pem").write_bytes(certificate)
    purposes = {"server": (True, False), "gateway": (True, True), "monitoring": (False, True)}
    for purpose, expected in purposes.items():
        file = tmp_path / f"{purpose}.pem"
        file.write_bytes(issue(authority, changed(purpose=purpose), now))
        command = ["openssl", "verify", "-x509_strict", "-CAfile", str(tmp_path / "ca.pem"), "-purpose"]
        verified = [
            subprocess.run([*command, f"ssl{kind}", str(file)], capture_output=True, check=False).returncode == 0
            for kind in ("server", "client")
        ]
        assert tuple(verified) == expected
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    assert context.cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize(
    ("wanted", "days", "reason"),
    [
        (WANTED, 0, ""),
        (WANTED, 669, ""),
        (WANTED, 671, "is valid for 59 more days"),
        (WANTED, 800, "is valid for -70 more days"),
        (changed(name="gpu2"), 0, "has other names"),
        (changed(purpose="server"), 0, "has other names"),
        (changed(names=("gpu1", "10.0.0.2")), 0, "has other names"),
        (changed(names=("10.0.0.1", "fd00::1", "gpu1")), 0, ""),
        (changed(days=10), 0, ""),
    ],
)
def test_when_a_certificate_is_issued_again(wanted: Wanted, days: int, reason: str) -> None:
    pem = issue(AUTHORITY, WANTED, NOW)
    assert outdated(pem, AUTHORITY, wanted, NOW + timedelta(days=days)) == reason


def test_what_cannot_be_used_is_issued_again() -> None:
    pem, another = issue(AUTHORITY, WANTED, NOW), issue(AUTHORITY, WANTED, NOW)
    key = b"-----BEGIN PRIVATE KEY-----"
    other = read_authority(*new_authority("test", NOW))
    assert outdated(pem, other, WANTED, NOW) == "is of another authority"
    assert outdated(pem.split(key)[0] + key + another.split(key)[1], AUTHORITY, WANTED, NOW) == (
        "does not belong to its key"
    )
    for broken in (b"", b"x", pem.split(key)[0], key + pem.split(key)[1]):
        assert outdated(broken, AUTHORITY, WANTED, NOW) == "cannot be read, or is of another authority"


def test_a_key_of_another_authority_is_refused() -> None:
    (key, _certificate), (_key, certificate) = new_authority("a", NOW), new_authority("b", NOW)
    with pytest.raises(ValueError, match="not that of the certificate"):
        read_authority(key, certificate)
