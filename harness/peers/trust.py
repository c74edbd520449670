"""An authority's certificate, in every form in which programs look for those that they trust.

Pure but for `write`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography import x509

_BUNDLE, _NONE, _JAVA = "authority.pem", "none", "authority.p12"


def system_files(pem: bytes) -> dict[str, bytes]:
    """What a system's folder of authorities (/etc/ssl/certs) holds where this is the only one.

    By path below it.  Bundles of Debian's and Fedora's name, the file that OpenSSL finds by its
    name's hash, and Java's store as Debian keeps it.
    """
    from cryptography import x509  # noqa: PLC0415 - only for plays with TLS

    certificate = x509.load_pem_x509_certificate(pem)
    return {
        "ca-certificates.crt": pem,
        "ca-bundle.crt": pem,
        f"{_subject_hash(certificate.subject)}.0": pem,
        "java/cacerts": java_store(certificate),
    }


def write(pem: bytes, folder: Path) -> dict[str, str]:
    """Write it to a folder, where every program may read it.

    Returns:
        The variables by which programs are told of it.  OpenSSL and what uses it (Python, Ruby,
        PHP, Go too) replace the system's authorities by these; Node adds them to its own.
    """
    from cryptography import x509  # noqa: PLC0415 - only for plays with TLS

    bundle, none, java = folder / _BUNDLE, folder / _NONE, folder / _JAVA
    bundle.write_bytes(pem)
    java.write_bytes(java_store(x509.load_pem_x509_certificate(pem)))
    none.mkdir()
    for path in (folder, none):
        path.chmod(0o755)
    for path in (bundle, java):
        path.chmod(0o644)
    return {
        "SSL_CERT_FILE": str(bundle),
        "SSL_CERT_DIR": str(none),
        "NODE_EXTRA_CA_CERTS": str(bundle),
        "CURL_CA_BUNDLE": str(bundle),
        "REQUESTS_CA_BUNDLE": str(bundle),
        "JAVA_TOOL_OPTIONS": f"-Djavax.net.ssl.trustStore={java}",
    }


def with_own(trust: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """The variables that tell of an authority, and those of a program's own, which win.

    The options of a JVM are a list: its own ones come last there.
    """
    both = {**trust, **own}
    if "JAVA_TOOL_OPTIONS" in own:
        both["JAVA_TOOL_OPTIONS"] = f"{trust['JAVA_TOOL_OPTIONS']} {own['JAVA_TOOL_OPTIONS']}"
    return both


def java_store(certificate: x509.Certificate) -> bytes:
    """A trust store for Java: PKCS12 that nobody needs a password for."""
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - as above
        NoEncryption,
        pkcs12,
    )

    entry = pkcs12.PKCS12Certificate(certificate, b"wirelab")
    return pkcs12.serialize_java_truststore([entry], NoEncryption())


def _subject_hash(subject: x509.Name) -> str:
    """By what OpenSSL finds a certificate in a folder (X509_NAME_hash, since 1.0.0).

    Of the DER of the name in its canonical form, without the outer head: small letters, no
    blanks at the ends, one between words.
    """
    from cryptography import x509  # noqa: PLC0415 - as above

    words = [(part.oid, str(part.value).split()) for part in subject]
    canonical = x509.Name([x509.NameAttribute(oid, " ".join(w).lower()) for oid, w in words])
    der = canonical.public_bytes()
    head = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    digest = hashlib.sha1(der[head:], usedforsecurity=False).digest()
    return digest[3::-1].hex()
