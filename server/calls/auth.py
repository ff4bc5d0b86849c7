"""Authentication by bearer tokens: a file with one token a line, read again when it changes."""

import hashlib
import hmac
import logging
import threading
from pathlib import Path

import grpc

from server.calls.credentials import CredentialsError
from server.errors import PermissionDeniedError, Rejection, UnauthenticatedError
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
_WRITING_METHODS = ("/aisle.v1.ProductSearch/Upsert", "/aisle.v1.ProductSearch/Delete")
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
    """Rejects calls without a token of some files as UNAUTHENTICATED, before their messages are read.

    Implements `server.telemetry.observer.AdmissionCheck`.
    """

    def __init__(self, *files: TokenFile):
        self._files = files

    def rejection(self, call: grpc.HandlerCallDetails) -> Rejection | None:
        """Return the status that rejects the call; None when it carries a valid token."""
        if call.method.startswith(_OPEN_METHODS):
            return None
        header = dict(call.invocation_metadata).get("authorization", "")
        if not header or not isinstance(header, str):
            return _MISSING_TOKEN
        return None if any(file.holds(_bearer_token(header)) for file in self._files) else _UNKNOWN_TOKEN


class WriteCheck:
    """Rejects calls that change the index and have no token for that as PERMISSION_DENIED.

    Implements `server.telemetry.observer.AdmissionCheck`.

    Args:
        tokens: None lets nobody write.
    """

    def __init__(self, tokens: TokenFile | None):
        self._tokens = tokens

    def rejection(self, call: grpc.HandlerCallDetails) -> Rejection | None:
        """Return the status that rejects the call; None when it changes nothing, or may."""
        if call.method not in _WRITING_METHODS:
            return None
        if self._tokens is None:
            return _READ_ONLY
        header = dict(call.invocation_metadata).get("authorization", "")
        may_write = isinstance(header, str) and self._tokens.holds(_bearer_token(header))
        return None if may_write else _NO_RIGHT_TO_WRITE


def token_checks(settings: ServerSettings) -> list[TokenCheck | WriteCheck]:
    """Return the token checks that the settings ask for.

    Raises:
        CredentialsError: a token file cannot be used.
    """
    writers = TokenFile(settings.write_token_file) if settings.write_token_file else None
    checks: list[TokenCheck | WriteCheck] = []
    if settings.token_file is not None:
        checks.append(TokenCheck(*filter(None, (TokenFile(settings.token_file), writers))))
    if settings.index is not None:
        checks.append(WriteCheck(writers))
    for flag, file in (("--token-file", settings.token_file), ("--write-token-file", settings.write_token_file)):
        if file is not None and settings.tls_certificate is None:
            _log.warning(
                "%s without --tls-certificate: tokens cross the network in plain text, unless a proxy adds TLS", flag
            )
    return checks


def _bearer_token(header: str) -> str:
    """The token in a header; '' where it holds none."""
    return header[len(_SCHEME) :].strip() if header[: len(_SCHEME)].lower() == _SCHEME else ""


_READ_ONLY = Rejection(
    PermissionDeniedError("this server lets nobody change its index; its operator can start it with --write-token-file")
)
_NO_RIGHT_TO_WRITE = Rejection(
    PermissionDeniedError("expected the metadata 'authorization: Bearer TOKEN' with a token that may change the index")
)
_MISSING_TOKEN = Rejection(UnauthenticatedError("expected the metadata 'authorization: Bearer TOKEN', found none"))
_UNKNOWN_TOKEN = Rejection(
    UnauthenticatedError("the metadata 'authorization' holds no token that this server knows; ask its operator for one")
)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
