"""Who may call: bearer tokens, one a line of a file that is read again when it changes."""

import hashlib
import hmac
import logging
import threading
from pathlib import Path

import grpc

from server.calls.credentials import CredentialsError
from server.errors import Refusal, UnauthenticatedError
from server.models.watched_files import WatchedFiles
from server.settings import ServerSettings

MIN_TOKEN_CHARS = 16
#: Open to everybody: load balancers and probes carry no token.
_OPEN_METHODS = "/grpc.health.v1.Health/"
_SCHEME = "bearer "

_log = logging.getLogger("aisle.server")


class TokenFile:
    """The tokens of a file; several at a time, so that callers move from an old one to a new one.

    Holds digests only: no token can get from here into a log.

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
        """Whether the file, as it is now, has this token; takes equally long whichever it is."""
        with self._lock:
            try:
                self._read_if_changed()
            except CredentialsError as error:
                _log.error("the tokens in use stay: %s", error)
            digests = self._digests
        digest = _digest(token.encode())
        return sum(hmac.compare_digest(digest, other) for other in digests) > 0  # not any(), which would stop early

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
    """Answers calls without a token of the file with UNAUTHENTICATED, before their messages are read.

    See `server.telemetry.observer.Gate`.
    """

    def __init__(self, tokens: TokenFile):
        self._tokens = tokens

    def refusal(self, call: grpc.HandlerCallDetails) -> Refusal | None:
        """Why the call ends here; None where it goes on."""
        if call.method.startswith(_OPEN_METHODS):
            return None
        header = dict(call.invocation_metadata).get("authorization", "")
        if not header or not isinstance(header, str):
            return _REFUSE_WITHOUT
        is_bearer = header[: len(_SCHEME)].lower() == _SCHEME
        if is_bearer and self._tokens.holds(header[len(_SCHEME) :].strip()):
            return None
        return _REFUSE_OTHER


def token_checks(settings: ServerSettings) -> list[TokenCheck]:
    """What stands before every call; nothing where everybody may call.

    Raises:
        CredentialsError: the token file cannot be used.
    """
    if settings.token_file is None:
        return []
    if settings.tls_certificate is None:
        _log.warning("--token-file without --tls-certificate: tokens cross the network readable; is TLS in front?")
    return [TokenCheck(TokenFile(settings.token_file))]


_REFUSE_WITHOUT = Refusal(UnauthenticatedError("expected the metadata 'authorization: Bearer TOKEN', found none"))
_REFUSE_OTHER = Refusal(
    UnauthenticatedError("the metadata 'authorization' holds no token that this server knows; ask its operator for one")
)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
