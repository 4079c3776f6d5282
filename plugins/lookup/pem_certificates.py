# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: pem_certificates
short_description: Read the certificates of certification authorities from PEM files, and refuse what is none
version_added: "0.1.0"
description:
  - Reads files of the control node. Each may hold several certificates; each of them becomes one entry.
  - Refuses, with all reasons at once, files that cannot be read or hold something other than certificates (above all a
    private key), and certificates whose time is over or has not come.
options:
  _terms:
    description:
      - The files. A relative name is looked for as by P(ansible.builtin.file#lookup).
    required: true
    type: list
    elements: path
requirements:
  - cryptography on the control node; ansible-core brings it
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Show until when they are good
  ansible.builtin.debug:
    msg: "{{ item.subject }} until {{ item.not_after }}"
  loop: "{{ query('tritonops.trtllm.pem_certificates', 'company-ca.pem') }}"
"""

RETURN = r"""
_raw:
  description: One entry for each certificate, in the order of the files; the same certificate once.
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
    # ansible-core asks for it, too
    MISSING: ImportError | None = exc
else:
    MISSING = None

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")


class Unfit(Exception):
    """This file is not what a host should trust."""


def certificates_in(path: Path) -> list[x509.Certificate]:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise Unfit(f"cannot be read: {exc.strerror}") from exc
    kinds = {match.decode("ascii") for match in _BLOCK.findall(data)}
    if any(kind.endswith("PRIVATE KEY") for kind in kinds):
        raise Unfit("has a private key in it, which belongs on no other machine: give the certificate alone")
    if kinds != {"CERTIFICATE"}:
        found = f"has {', '.join(sorted(kinds))}" if kinds else "has no PEM block"
        raise Unfit(
            f"{found} where only PEM certificates belong (openssl x509 -inform DER -in FILE turns DER into PEM)"
        )
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as exc:
        raise Unfit(f"cannot be parsed as certificates: {exc}") from exc


def check_time(certificate: x509.Certificate, now: datetime.datetime) -> None:
    who = certificate.subject.rfc4514_string()
    if certificate.not_valid_after_utc < now:
        raise Unfit(f"has expired: {who} was good until {certificate.not_valid_after_utc:%Y-%m-%d}")
    if certificate.not_valid_before_utc > now:
        raise Unfit(f"is not valid yet: {who} is good from {certificate.not_valid_before_utc:%Y-%m-%d}")


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
    """An entry for each certificate; AnsibleLookupError with everything that is wrong with the files."""
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
        raise AnsibleLookupError("Not to be trusted: " + "; ".join(problems) + ".")
    return list(found.values())


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: t.Any = None, **kwargs: t.Any) -> list[dict[str, str]]:
        if MISSING:
            raise AnsibleLookupError(f"Certificates cannot be read: {MISSING}. Install it on the control node.")
        self.set_options(var_options=variables, direct=kwargs)
        return read_certificates([Path(self._path(str(term), variables)) for term in terms])

    def _path(self, term: str, variables: t.Any) -> str:
        # Where there is none, reading it says so beside what is wrong with the others.
        return self.find_file_in_search_path(variables, "files", term, ignore_missing=True) or term
