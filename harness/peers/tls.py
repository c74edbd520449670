"""The certificate authority of a run, and the certificates of its actors."""

from __future__ import annotations

import ipaddress
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.model.scenario import Certificate
from harness.network import scratch_folder
from harness.peers import trust

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    import trustme
    from cryptography import x509


#: Whom a certificate names that is not for the actor that shows it (RFC 9525 6).
_ANOTHER_HOST = "somebody-else.example.test"


class Authority:
    """Issues a certificate to every actor that asks; made once a run, and only when needed.

    Programs are to trust it: by the variables of `environment`, or by `system_files` where a
    network can put those in the place of the machine's own.
    """

    def __init__(self) -> None:
        self._contexts: dict[tuple[Certificate, tuple[str, ...]], ssl.SSLContext] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @cached_property
    def _authority(self) -> trustme.CA:
        import trustme  # noqa: PLC0415 - 55 ms that most runs need not pay

        return trustme.CA(
            organization_name="Wirelab",
            key_type=trustme.KeyType.ECDSA,  # RSA costs 30 ms a key
        )

    @property
    def bundle(self) -> Path:
        """A PEM file with the authority's certificate and nothing else."""
        return Path(self.environment["SSL_CERT_FILE"])

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """The variables by which a program is told of the authority; makes their files."""
        return trust.write(self._authority.cert_pem.bytes(), self._place)

    @cached_property
    def _place(self) -> Path:
        self._folder = tempfile.TemporaryDirectory(prefix="trust-", dir=scratch_folder())
        return Path(self._folder.name)

    @property
    def secrets_size(self) -> int:
        """How many octets of secrets there are by now."""
        return self._secrets.stat().st_size if self._folder and self._secrets.exists() else 0

    def secrets(self, start: int) -> bytes:
        """The secrets of TLS connections behind the first octets, of whatever play.

        In the format of NSS, as SSLKEYLOGFILE has it: with them, captures can be read.
        """
        if self.secrets_size <= start:
            return b""
        with self._secrets.open("rb") as file:
            file.seek(start)
            return file.read()

    @property
    def _secrets(self) -> Path:
        return self._place / "secrets.log"

    @cached_property
    def system_files(self) -> Mapping[str, bytes]:
        """See `Network.trust`."""
        return trust.system_files(self._authority.cert_pem.bytes())

    def context(self, *names: str, certificate: Certificate = Certificate.GOOD) -> ssl.SSLContext:
        """A server's TLS context with a certificate for these host names and addresses."""
        key = (certificate, names)
        if key not in self._contexts:
            self._contexts[key] = self._new_context(certificate, names)
        return self._contexts[key]

    def client_context(self) -> ssl.SSLContext:
        """The TLS context of a client that takes whatever certificate it is shown."""
        import ssl  # noqa: PLC0415 - only for actors that encrypt

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.keylog_filename = str(self._secrets)
        return context

    def _new_context(self, certificate: Certificate, names: tuple[str, ...]) -> ssl.SSLContext:
        import ssl  # noqa: PLC0415 - only for actors that encrypt

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A client that closes before it has read its session tickets would send a reset.
        context.num_tickets = 0
        context.keylog_filename = str(self._secrets)
        self._issued(certificate, names).configure_cert(context)
        return context

    def _issued(self, certificate: Certificate, names: tuple[str, ...]) -> trustme.LeafCert:
        import trustme  # noqa: PLC0415

        identities = [_identity(name) for name in names]
        issuer, until = self._authority, None
        if certificate is Certificate.WRONG_HOST:
            identities = [_ANOTHER_HOST]
        elif certificate is Certificate.EXPIRED:
            until = datetime.now(UTC) - timedelta(days=1)
        elif certificate is Certificate.SELF_SIGNED:
            return _self_signed(identities)
        key = trustme.KeyType.ECDSA
        return issuer.issue_cert(*identities, not_after=until, key_type=key)

    def close(self) -> None:
        """Remove the files."""
        if self._folder:
            self._folder.cleanup()


def _self_signed(identities: list[str]) -> trustme.LeafCert:
    """A certificate of the right names that nobody vouches for."""
    import trustme  # noqa: PLC0415 - only for actors that encrypt
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, identities[0])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(map(_general_name, identities)), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return trustme.LeafCert(private, certificate.public_bytes(pem), [])


def _general_name(identity: str) -> x509.GeneralName:
    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.IPAddress(ipaddress.ip_address(identity))
    except ValueError:
        return x509.DNSName(identity)


def _identity(name: str) -> str:
    """An address literal in the spelling that certificates use, or a host name."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
