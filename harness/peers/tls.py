"""The certificate authority of a run, and the certificates of its actors."""

from __future__ import annotations

import ipaddress
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.network import scratch_folder

if TYPE_CHECKING:
    import ssl

    import trustme


class Authority:
    """Issues a certificate to every actor that asks; made once a run, and only when needed.

    Programs are to trust it by `SSL_CERT_FILE`, the file `bundle`.
    """

    def __init__(self) -> None:
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @cached_property
    def _authority(self) -> trustme.CA:
        import trustme  # noqa: PLC0415 - 55 ms that most runs need not pay

        return trustme.CA(
            organization_name="Wirelab",
            key_type=trustme.KeyType.ECDSA,  # RSA costs 30 ms a key
        )

    @cached_property
    def bundle(self) -> Path:
        """A PEM file with the authority's certificate and nothing else."""
        self._folder = tempfile.TemporaryDirectory(prefix="trust-", dir=scratch_folder())
        path = Path(self._folder.name) / "authority.pem"
        self._authority.cert_pem.write_to_path(path)
        Path(self._folder.name).chmod(0o755)
        path.chmod(0o644)
        return path

    def context(self, *names: str) -> ssl.SSLContext:
        """A server's TLS context with a certificate for these host names and addresses."""
        if names not in self._contexts:
            self._contexts[names] = self._new_context(names)
        return self._contexts[names]

    def _new_context(self, names: tuple[str, ...]) -> ssl.SSLContext:
        import ssl  # noqa: PLC0415 - only for actors that encrypt

        import trustme  # noqa: PLC0415

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A client that closes before it has read its session tickets would send a reset.
        context.num_tickets = 0
        identities = [_identity(name) for name in names]
        certificate = self._authority.issue_cert(*identities, key_type=trustme.KeyType.ECDSA)
        certificate.configure_cert(context)
        return context

    def close(self) -> None:
        """Remove the files."""
        if self._folder:
            self._folder.cleanup()


def _identity(name: str) -> str:
    """An address literal in the spelling that certificates use, or a host name."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
