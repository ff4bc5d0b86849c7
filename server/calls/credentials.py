"""TLS credentials: the server's certificate and the authority of its clients, read again when the files change.

Messages name the paths of these files, never their contents.
"""

import logging
import ssl
from pathlib import Path

import grpc

from model.errors import AisleError
from server.models.watched_files import WatchedFiles
from server.settings import ServerSettings

_log = logging.getLogger("aisle.server")


class CredentialsError(AisleError):
    """A certificate, key or token file cannot be used."""


class TlsFiles:
    """The PEM files of the server's side of TLS.

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
        configuration = self._read_if_changed()
        assert configuration is not None, "the first read always finds a change"
        return grpc.dynamic_ssl_server_credentials(
            configuration,
            self._reload,  # type: ignore[arg-type]  # None means no change; the stubs do not declare it
            require_client_authentication=self._client_ca is not None,
        )

    def _reload(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the new files, or None to keep those in use."""
        try:
            configuration = self._read_if_changed()
        except CredentialsError as error:
            _log.error("the current certificate stays in use: %s", error)
            return None
        if configuration is not None:
            _log.info("new connections use the changed %s", self._certificate)
        return configuration

    def _read_if_changed(self) -> grpc.ServerCertificateConfiguration | None:
        try:
            contents = self._files.read_if_changed()
            if contents is None:
                return None
            self._check()
        except ssl.SSLError as error:
            raise CredentialsError(
                f"{self._certificate} and {self._private_key} cannot be used for TLS"
                f" ({error.reason or 'no PEM'}); expected a PEM certificate and its own PEM key, not encrypted"
            ) from None
        except OSError as error:
            raise CredentialsError(f"{error.filename} cannot be read: {error.strerror}") from None
        key, certificate, *client_ca = contents
        return grpc.ssl_server_certificate_configuration([(key, certificate)], client_ca[0] if client_ca else None)

    def _check(self) -> None:
        """Check the files with OpenSSL; grpc itself would reject each connection without an error message."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(
            self._certificate, self._private_key, password=""
        )  # without one OpenSSL would ask on the terminal
        if self._client_ca is None:
            return
        try:
            context.load_verify_locations(self._client_ca)
        except ssl.SSLError:
            raise CredentialsError(f"{self._client_ca}: expected PEM certificates of the clients' authority") from None


def server_credentials(settings: ServerSettings) -> grpc.ServerCredentials | None:
    """Return the credentials that the settings ask for; None for plain text.

    Raises:
        CredentialsError: a file cannot be used.
    """
    if settings.tls_certificate is None or settings.tls_private_key is None:
        return None
    return TlsFiles(settings.tls_certificate, settings.tls_private_key, settings.tls_client_ca).credentials()
