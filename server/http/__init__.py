"""JSON over HTTP, for callers without gRPC. aiohttp is imported in this room alone, and only with --http-port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.errors import SettingsError

if TYPE_CHECKING:
    from server.http.port import HttpPort


def http_port_class(port: int | None) -> type[HttpPort] | None:
    """Return the class that listens for HTTP; None when no port is given.

    Raises:
        SettingsError: aiohttp is not installed.
    """
    if port is None:
        return None
    try:
        from server.http.port import HttpPort
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"--http-port needs a package that is not installed ({error.name}): pip install aiohttp, or leave the flag"
            " out"
        ) from error
    return HttpPort
