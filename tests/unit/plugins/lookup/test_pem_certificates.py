# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates are read from PEM files, and all problems are reported at once."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible_collections.tritonops.trtllm.plugins.lookup.pem_certificates import LookupModule, read_certificates
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(name: str, start: datetime.datetime = NOW - DAY, end: datetime.datetime = NOW + DAY) -> bytes:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, KEY.public_key(), x509.random_serial_number(), start, end)
    return builder.sign(KEY, SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture(name="good")
def fixture_good(tmp_path: Path) -> Path:
    path = tmp_path / "Company CA.pem"
    path.write_bytes(certificate("one") + certificate("two"))
    return path


def test_each_certificate_of_a_file_is_an_entry(good: Path) -> None:
    found = read_certificates([good])
    assert [entry["subject"] for entry in found] == ["CN=one", "CN=two"]
    assert "".join(entry["content"] for entry in found).encode() == good.read_bytes()
    assert all(entry["name"].startswith("company-ca-") for entry in found)
    assert len({entry["name"] for entry in found}) == 2


def test_a_certificate_in_two_files_is_used_once(good: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pem"
    copy.write_bytes(good.read_bytes())
    assert read_certificates([good, copy]) == read_certificates([good])


def test_text_around_a_certificate_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(b"subject=CN = one\n" + certificate("one") + b"password: hunter2\n")
    assert "hunter2" not in read_certificates([path])[0]["content"]


def test_all_problems_are_reported_at_once(good: Path, tmp_path: Path) -> None:
    private = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    files = {
        "expired.pem": certificate("old", end=NOW - DAY / 2),
        "early.pem": certificate("young", start=NOW + DAY / 2),
        "key.pem": certificate("pair") + private,
        "request.pem": b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        "der.pem": b"0\x82\x01\x0a",
        "broken.pem": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(AnsibleLookupError) as refused:
        read_certificates([good, *(tmp_path / name for name in files), tmp_path / "missing.pem"])
    words = str(refused.value)
    assert "expired.pem has expired: CN=old" in words
    assert "early.pem is not valid yet: CN=young" in words
    assert "key.pem contains a private key" in words
    assert "request.pem contains CERTIFICATE REQUEST, but" in words
    assert "der.pem contains no PEM block" in words
    assert "broken.pem cannot be parsed" in words
    assert "missing.pem cannot be read" in words
    assert str(good) not in words
    assert private.splitlines()[1].decode() not in words


def test_relative_paths_are_searched_like_in_the_lookup_file(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "ca.pem").write_bytes(certificate("one"))
    lookup = LookupModule(loader=DataLoader())
    found = lookup.run(["ca.pem"], {"ansible_search_path": [str(tmp_path)]})
    assert found[0]["file"] == str(tmp_path / "files" / "ca.pem")
