# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: pem_certificates
short_description: Read and check CA certificates in PEM files
version_added: "0.1.0"
description:
  - Reads files on the control node. Each file can contain several certificates; each certificate becomes one entry.
  - Fails, with all reasons, if a file cannot be read or contains anything but certificates (especially a private key),
    or if a certificate has expired or is not valid yet.
options:
  _terms:
    description:
      - The files. Relative paths are searched for in the same way as in P(ansible.builtin.file#lookup).
    required: true
    type: list
    elements: path
requirements:
  - cryptography on the control node (a dependency of ansible-core)
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Show when certificates expire
  ansible.builtin.debug:
    msg: "{{ item.subject }} until {{ item.not_after }}"
  loop: "{{ query('tritonops.trtllm.pem_certificates', 'company-ca.pem') }}"
"""

RETURN = r"""
_raw:
  description: One entry for each certificate, in the order of the files, without duplicates.
  type: list
  elements: dict
  sample:
    - name: company-ca-5f0c8a2b9d17
      file: /home/me/company-ca.pem
      subject: CN=Company CA,O=Company
      not_after: "2034-05-01"
      content: "-----BEGIN CERTIFICATE-----…"
"""

import datetime
import re
import typing as t
from pathlib import Path

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

try:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding
except ImportError as exc:
    # Although it is a dependency of ansible-core.
    MISSING: ImportError | None = exc
else:
    MISSING = None

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")


class Unfit(Exception):
    """Why hosts must not trust the certificates in a file."""


def certificates_in(path: Path) -> list[x509.Certificate]:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise Unfit(f"cannot be read: {exc.strerror}") from exc
    kinds = {match.decode("ascii") for match in _BLOCK.findall(data)}
    if any(kind.endswith("PRIVATE KEY") for kind in kinds):
        raise Unfit("contains a private key, which must not be copied to hosts: use a file with the certificate only")
    if kinds != {"CERTIFICATE"}:
        found = f"contains {', '.join(sorted(kinds))}" if kinds else "contains no PEM block"
        raise Unfit(
            f"{found}, but must contain PEM certificates only (openssl x509 -inform DER -in FILE converts DER to PEM)"
        )
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as exc:
        raise Unfit(f"cannot be parsed as certificates: {exc}") from exc


def check_time(certificate: x509.Certificate, now: datetime.datetime) -> None:
    who = certificate.subject.rfc4514_string()
    if certificate.not_valid_after_utc < now:
        raise Unfit(f"has expired: {who} was valid until {certificate.not_valid_after_utc:%Y-%m-%d}")
    if certificate.not_valid_before_utc > now:
        raise Unfit(f"is not valid yet: {who} is valid from {certificate.not_valid_before_utc:%Y-%m-%d}")


def entry_of(path: Path, certificate: x509.Certificate) -> dict[str, str]:
    stem = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    return {
        "name": f"{stem or 'ca'}-{certificate.fingerprint(SHA256()).hex()[:12]}",
        "file": str(path),
        "subject": certificate.subject.rfc4514_string(),
        "not_after": f"{certificate.not_valid_after_utc:%Y-%m-%d}",
        "content": certificate.public_bytes(Encoding.PEM).decode("ascii"),
    }


def read_certificates(paths: t.Iterable[Path]) -> list[dict[str, str]]:
    """An entry for each certificate; AnsibleLookupError lists everything that is wrong with the files."""
    now = datetime.datetime.now(datetime.timezone.utc)
    found: dict[bytes, dict[str, str]] = {}
    problems = []
    for path in paths:
        try:
            for certificate in certificates_in(path):
                check_time(certificate, now)
                found.setdefault(certificate.fingerprint(SHA256()), entry_of(path, certificate))
        except Unfit as exc:
            problems.append(f"{path} {exc}")
    if problems:
        raise AnsibleLookupError("Invalid CA certificates: " + "; ".join(problems) + ".")
    return list(found.values())


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: t.Any = None, **kwargs: t.Any) -> list[dict[str, str]]:
        if MISSING:
            raise AnsibleLookupError(f"Certificates cannot be read: {MISSING}. Install it on the control node.")
        self.set_options(var_options=variables, direct=kwargs)
        return read_certificates([Path(self._path(str(term), variables)) for term in terms])

    def _path(self, term: str, variables: t.Any) -> str:
        # A missing file is reported together with the other problems when it is read.
        return self.find_file_in_search_path(variables, "files", term, ignore_missing=True) or term
