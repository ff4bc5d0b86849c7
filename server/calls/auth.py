"""Authentication by bearer tokens: a file with one token a line, read again when it changes."""

import hashlib
import hmac
import logging
import threading
from pathlib import Path

import grpc

from server.calls.credentials import CredentialsError
from server.errors import Rejection, UnauthenticatedError
from server.models.watched_files import WatchedFiles
from server.settings import ServerSettings

MIN_TOKEN_CHARS = 16
#: Methods without authentication: load balancers and probes carry no token.
_OPEN_METHODS = (
    "/grpc.health.v1.Health/",
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
    "/inference.GRPCInferenceService/ModelReady",
)
_SCHEME = "bearer "

_log = logging.getLogger("aisle.server")


class TokenFile:
    """The tokens of a file; several are valid at a time, so that callers can be moved from an old one to a new one.

    Only digests are kept, so that no token can reach a log.

    Raises:
        CredentialsError: the file cannot be read, holds no token, or one that a header cannot carry.
    """

    def __init__(self, path: Path):
        self._path = path
        self._file = WatchedFiles(path)
        self._lock = threading.Lock()
        self._digests: list[bytes] = []
        self._read_if_changed()

    def holds(self, token: str) -> bool:
        """Return True when the current file has this token; takes constant time for any token."""
        with self._lock:
            try:
                self._read_if_changed()
            except CredentialsError as error:
                _log.error("the current tokens stay in use: %s", error)
            digests = self._digests
        digest = _digest(token.encode())
        return (
            sum(hmac.compare_digest(digest, other) for other in digests) > 0
        )  # not any(), whose time would depend on the token

    def _read_if_changed(self) -> None:
        try:
            contents = self._file.read_if_changed()
        except OSError as error:
            raise CredentialsError(f"token file {self._path} cannot be read: {error.strerror}") from None
        if contents is None:
            return
        lines = [(number, line.strip()) for number, line in enumerate(contents[0].splitlines(), start=1)]
        tokens = [(number, line) for number, line in lines if line]
        if not tokens:
            raise CredentialsError(f"token file {self._path}: expected one token a line, found none")
        for number, token in tokens:
            if len(token) < MIN_TOKEN_CHARS or not all(0x21 <= byte <= 0x7E for byte in token):
                raise CredentialsError(
                    f"token file {self._path}, line {number}: expected {MIN_TOKEN_CHARS} or more ASCII characters"
                    " without spaces; make one with openssl rand -hex 32"
                )
        self._digests = [_digest(token) for _, token in tokens]


class TokenCheck:
    """Rejects calls without a token of the file as UNAUTHENTICATED, before their messages are read.

    Implements `server.telemetry.observer.AdmissionCheck`.
    """

    def __init__(self, tokens: TokenFile):
        self._tokens = tokens

    def rejection(self, call: grpc.HandlerCallDetails) -> Rejection | None:
        """Return the status that rejects the call; None when it carries a valid token."""
        if call.method.startswith(_OPEN_METHODS):
            return None
        header = dict(call.invocation_metadata).get("authorization", "")
        if not header or not isinstance(header, str):
            return _MISSING_TOKEN
        is_bearer = header[: len(_SCHEME)].lower() == _SCHEME
        if is_bearer and self._tokens.holds(header[len(_SCHEME) :].strip()):
            return None
        return _UNKNOWN_TOKEN


def token_checks(settings: ServerSettings) -> list[TokenCheck]:
    """Return the token check that the settings ask for; empty when every caller is allowed.

    Raises:
        CredentialsError: the token file cannot be used.
    """
    if settings.token_file is None:
        return []
    if settings.tls_certificate is None:
        _log.warning(
            "--token-file without --tls-certificate: tokens cross the network in plain text, unless a proxy adds TLS"
        )
    return [TokenCheck(TokenFile(settings.token_file))]


_MISSING_TOKEN = Rejection(UnauthenticatedError("expected the metadata 'authorization: Bearer TOKEN', found none"))
_UNKNOWN_TOKEN = Rejection(
    UnauthenticatedError("the metadata 'authorization' holds no token that this server knows; ask its operator for one")
)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
