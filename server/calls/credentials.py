"""TLS credentials: the server's certificate and the authority of its clients, read again when the files change.

Messages name the paths of these files, never their contents.
"""

import logging
import ssl
from pathlib import Path
from typing import NamedTuple

import grpc

from model.errors import AisleError
from server.models.watched_files import WatchedFiles
from server.settings import ServerSettings

_log = logging.getLogger("aisle.server")


class CredentialsError(AisleError):
    """A certificate, key or token file cannot be used."""


class _Read(NamedTuple):
    """The files as they were read: for gRPC, and for HTTP."""

    configuration: grpc.ServerCertificateConfiguration
    context: ssl.SSLContext


class TlsFiles:
    """The PEM files of the server's side of TLS, for one port.

    Args:
        certificate: the server's certificate, followed by the intermediate ones.
        private_key: its key, not encrypted.
        client_ca: authorities of which one must have signed a caller's certificate; None requires no certificate.
    """

    def __init__(self, certificate: Path, private_key: Path, client_ca: Path | None):
        self._certificate, self._private_key, self._client_ca = certificate, private_key, client_ca
        self._files = WatchedFiles(private_key, certificate, *([client_ca] if client_ca else []))

    def credentials(self) -> grpc.ServerCredentials:
        """Return the credentials of a port; every new connection uses the current files.

        Raises:
            CredentialsError: a file is missing or not PEM, or certificate and key are not a pair.
        """
        first = self._read_if_changed()
        assert first is not None, "the first read always finds a change"

        def changed() -> grpc.ServerCertificateConfiguration | None:
            found = self._reload()
            return found.configuration if found else None

        return grpc.dynamic_ssl_server_credentials(
            first.configuration,
            changed,  # type: ignore[arg-type]  # None means no change; the stubs do not declare it
            require_client_authentication=self._client_ca is not None,
        )

    def http_context(self) -> ssl.SSLContext:
        """Return the context of an HTTP port; every new connection uses the current files.

        Raises:
            CredentialsError: as `credentials`.
        """
        first = self._read_if_changed()
        assert first is not None, "the first read always finds a change"
        current = first.context

        def follow(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            nonlocal current
            if found := self._reload():
                current = found.context
            connection.context = current

        first.context.sni_callback = follow  # at the start of every handshake, whether or not a name is sent
        return first.context

    def _reload(self) -> _Read | None:
        """Return the new files, or None to keep those in use."""
        try:
            found = self._read_if_changed()
        except CredentialsError as error:
            _log.error("the current certificate stays in use: %s", error)
            return None
        if found is not None:
            _log.info("new connections use the changed %s", self._certificate)
        return found

    def _read_if_changed(self) -> _Read | None:
        try:
            contents = self._files.read_if_changed()
            if contents is None:
                return None
            context = self._context()
        except ssl.SSLError as error:
            raise CredentialsError(
                f"{self._certificate} and {self._private_key} cannot be used for TLS"
                f" ({error.reason or 'no PEM'}); expected a PEM certificate and its own PEM key, not encrypted"
            ) from None
        except OSError as error:
            raise CredentialsError(f"{error.filename} cannot be read: {error.strerror}") from None
        key, certificate, *client_ca = contents
        authority = client_ca[0] if client_ca else None
        return _Read(grpc.ssl_server_certificate_configuration([(key, certificate)], authority), context)

    def _context(self) -> ssl.SSLContext:
        """Open the files with OpenSSL; grpc itself would reject each connection without an error message."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = 0  # a resumed session would not be asked for a certificate of the current authority
        context.load_cert_chain(
            self._certificate, self._private_key, password=""
        )  # without one OpenSSL would ask on the terminal
        if self._client_ca is None:
            return context
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(self._client_ca)
        except ssl.SSLError:
            raise CredentialsError(f"{self._client_ca}: expected PEM certificates of the clients' authority") from None
        return context


def tls_files(settings: ServerSettings) -> TlsFiles | None:
    """Return the files that the settings name, for one port; None for plain text."""
    if settings.tls_certificate is None or settings.tls_private_key is None:
        return None
    return TlsFiles(settings.tls_certificate, settings.tls_private_key, settings.tls_client_ca)


def server_credentials(settings: ServerSettings) -> grpc.ServerCredentials | None:
    """Return the credentials of gRPC's port that the settings ask for; None for plain text.

    Raises:
        CredentialsError: a file cannot be used.
    """
    files = tls_files(settings)
    return files.credentials() if files else None
