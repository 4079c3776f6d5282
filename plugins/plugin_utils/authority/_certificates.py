# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""X.509 certificates of the collection's own authority, by the library cryptography. No I/O.

A certificate has a name (CN) and a purpose (OU), which the host endpoint checks: `server` for hosts and gateways,
`gateway` for clients that may send requests, `monitoring` for clients that may read metrics. `transfer` is for
hosts that copy artifacts from each other.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError as exc:
    # Although it is a dependency of ansible-core.
    MISSING: ImportError | None = exc
else:
    MISSING = None

AUTHORITY_DAYS = 3650
# Clocks of hosts may be a little behind.
CLOCK_SKEW = timedelta(hours=1)
# Whether a certificate is for connections that are accepted, and for those that are opened. Gateways accept those of
# the other gateways, and hosts those of the other hosts.
PURPOSES = {
    "server": (True, False),
    "gateway": (True, True),
    "monitoring": (False, True),
    "transfer": (True, True),
}


@dataclass(frozen=True)
class Wanted:
    """What a certificate must be. `names` are DNS names and IP addresses."""

    name: str
    purpose: str
    names: tuple[str, ...]
    days: int
    renew_days: int


@dataclass(frozen=True)
class Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def new_authority(name: str, now: datetime) -> tuple[bytes, bytes]:
    """The private key and the certificate of a new authority, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(subject, subject, key.public_key(), now, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(sign_certificates=True), critical=True)
    return _key_pem(key), certificate_pem(builder.sign(key, hashes.SHA256()))


def read_authority(key: bytes, certificate: bytes) -> Authority:
    """ValueError if they cannot be read, or do not belong together."""
    private = serialization.load_pem_private_key(key, password=None)
    public = x509.load_pem_x509_certificate(certificate)
    if not isinstance(private, ec.EllipticCurvePrivateKey) or public.public_key() != private.public_key():
        raise ValueError("the key is not an elliptic curve key, or not that of the certificate")
    return Authority(private, public)


def issue(authority: Authority, wanted: Wanted, now: datetime) -> bytes:
    """A new private key with its certificate, as one PEM text, as HAProxy reads it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, wanted.purpose),
            x509.NameAttribute(NameOID.COMMON_NAME, wanted.name),
        ]
    )
    issuer = authority.certificate.subject
    builder = _builder(subject, issuer, key.public_key(), now, wanted.days)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(sign_certificates=False), critical=True)
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(issuer_key, critical=False)
    builder = builder.add_extension(_extended_usage(*PURPOSES[wanted.purpose]), critical=False)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([_alternative(name) for name in wanted.names]), critical=False
    )
    certificate = builder.sign(authority.key, hashes.SHA256())
    return certificate_pem(certificate) + _key_pem(key)


def outdated(pem: bytes, authority: Authority, wanted: Wanted, now: datetime) -> str:
    """Why a certificate must be issued again, as the end of a sentence; empty if it can stay."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = serialization.load_pem_private_key(pem, password=None)
        certificate.verify_directly_issued_by(authority.certificate)
    except InvalidSignature:
        return "is of another authority"
    except (ValueError, TypeError):
        return "cannot be read, or is of another authority"
    if key.public_key() != certificate.public_key():
        return "does not belong to its key"
    if _subject(certificate) != (wanted.name, wanted.purpose) or _names(certificate) != set(wanted.names):
        return "has other names"
    left = days_left(certificate, now)
    return f"is valid for {left} more days" if left < wanted.renew_days else ""


def days_left(certificate: x509.Certificate, now: datetime) -> int:
    return (certificate.not_valid_after_utc - now).days


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _extended_usage(accepts: bool, opens: bool) -> x509.ExtendedKeyUsage:
    usages = [(accepts, ExtendedKeyUsageOID.SERVER_AUTH), (opens, ExtendedKeyUsageOID.CLIENT_AUTH)]
    return x509.ExtendedKeyUsage([oid for is_used, oid in usages if is_used])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _subject(certificate: x509.Certificate) -> tuple[str, str]:
    subject = certificate.subject
    attributes = (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME)
    name, purpose = (str(subject.get_attributes_for_oid(oid)[0].value) for oid in attributes)
    return name, purpose


def _names(certificate: x509.Certificate) -> set[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses: Sequence[object] = extension.get_values_for_type(x509.IPAddress)
    return {*extension.get_values_for_type(x509.DNSName), *map(str, addresses)}


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
