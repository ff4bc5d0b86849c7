"""Channels to a server: in plain text or over TLS, with or without a token.

A token never leaves the machine unencrypted: without TLS it is refused for any target but the machine itself,
and gRPC's local credentials check the address of the connection again.
"""

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from aisle_client.errors import InputError

CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Calls go to all addresses of a target in turn; one that is down is skipped.
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    # A server that restarts is found quickly; by default the backoff grows to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


@dataclass(frozen=True)
class Security:
    """TLS and token settings of a connection."""

    tls: bool = False
    """Use TLS and trust the public authorities; --tls-ca and --tls-certificate turn TLS on as well."""
    tls_ca: Path | None = None
    """PEM file of the authority that signed the server's certificate."""
    tls_certificate: Path | None = None
    """PEM file of the client's own certificate, where the server requires one."""
    tls_private_key: Path | None = None
    """PEM file of its private key."""
    token_file: Path | None = None
    """File whose first line is the bearer token to send; read for each call."""

    @property
    def has_tls(self) -> bool:
        """True when connections are encrypted."""
        return self.tls or any((self.tls_ca, self.tls_certificate, self.tls_private_key))


PLAIN_TEXT = Security()


def open_channel(
    target: str, security: Security = PLAIN_TEXT, options: Sequence[tuple[str, str | int]] = CHANNEL_OPTIONS
) -> grpc.Channel:
    """Open a channel, which connects on its first call.

    Args:
        target: HOST:PORT; or several IP:PORT, joined by commas, among which calls are balanced.
    Raises:
        InputError: a file is missing or cannot be read, or a token would be sent in plain text.
    """
    credentials = channel_credentials(target, security)
    if credentials is None:
        return grpc.insecure_channel(grpc_target(target), options=options)
    return grpc.secure_channel(grpc_target(target), credentials, options=options)


def open_async_channel(
    target: str, security: Security = PLAIN_TEXT, options: Sequence[tuple[str, str | int]] = CHANNEL_OPTIONS
) -> grpc.aio.Channel:
    """Open a channel for asyncio; see `open_channel`."""
    credentials = channel_credentials(target, security)
    if credentials is None:
        return grpc.aio.insecure_channel(grpc_target(target), options=options)
    return grpc.aio.secure_channel(grpc_target(target), credentials, options=options)


def grpc_target(target: str) -> str:
    """Return a target in grpc's form, which needs a scheme in front of several addresses.

    Args:
        target: HOST:PORT, IP:PORT,IP:PORT,... or a URI that grpc knows.
    Raises:
        InputError: one of several addresses is a name, or IPv4 and IPv6 are mixed.
    """
    if "," not in target or target.startswith(("ipv4:", "ipv6:")):
        return target
    addresses = [address.strip() for address in target.split(",")]
    try:
        versions = {ipaddress.ip_address(address.rpartition(":")[0].strip("[]")).version for address in addresses}
    except ValueError:
        versions = set()
    if len(versions) != 1:
        raise InputError(
            f"--target {target}: expected several addresses as IP:PORT, all IPv4 or all IPv6; or one name that resolves"
            " to all of them"
        )
    return f"ipv{versions.pop()}:{','.join(addresses)}"


def channel_credentials(target: str, security: Security) -> grpc.ChannelCredentials | None:
    """Return the credentials of a channel to `target`; None for plain text without a token.

    Raises:
        InputError: a file is missing or cannot be read, or a token would be sent in plain text.
    """
    if (security.tls_certificate is None) != (security.tls_private_key is None):
        missing = "--tls-private-key" if security.tls_private_key is None else "--tls-certificate"
        raise InputError(f"--tls-certificate and --tls-private-key belong together; {missing} is missing")
    if security.has_tls:
        credentials = grpc.ssl_channel_credentials(
            *(_read(path) for path in (security.tls_ca, security.tls_private_key, security.tls_certificate))
        )
    elif security.token_file is not None:
        if not is_loopback(target):
            raise InputError(
                f"--token-file: the token would be sent in plain text to {target}; expected --tls-ca FILE (or --tls),"
                " or a target on this machine"
            )
        credentials = grpc.local_channel_credentials(grpc.LocalConnectionType.LOCAL_TCP)
    else:
        return None
    if security.token_file is None:
        return credentials
    token = _TokenPlugin(security.token_file)
    return grpc.composite_channel_credentials(credentials, grpc.metadata_call_credentials(token))


def is_loopback(target: str) -> bool:
    """Return True when every address of a target is localhost, in 127.0.0.0/8 or [::1]; names are not resolved."""
    addresses = target.rpartition("/")[2].removeprefix("ipv4:").removeprefix("ipv6:").removeprefix("dns:").split(",")
    return all(_is_loopback_host(address.strip()) for address in addresses)


def _is_loopback_host(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _TokenPlugin(grpc.AuthMetadataPlugin):
    """Adds the current token of a file to each call."""

    def __init__(self, path: Path):
        self._path = path
        self._token()

    def __call__(self, _context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        try:
            callback((("authorization", f"Bearer {self._token()}"),), None)
        except InputError as error:
            callback((), error)

    def _token(self) -> str:
        content = _read(self._path) or b""
        token = next((line.strip() for line in content.splitlines() if line.strip()), b"")
        if not token or not all(0x21 <= byte <= 0x7E for byte in token):
            raise InputError(f"token file {self._path}: expected a token of ASCII characters without spaces")
        return token.decode()


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
