"""Asks a server by HTTP."""

import http.client
import json
import ssl
from typing import Any, NamedTuple

from server.app import AisleServer


class Reply(NamedTuple):
    """An answer: its code, headers by their lower-case names, and JSON."""

    code: int
    headers: dict[str, str]
    content: Any


def connect(server: AisleServer, tls: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
    assert server.http_port is not None
    if tls is not None:
        return http.client.HTTPSConnection("127.0.0.1", server.http_port, timeout=30, context=tls)
    return http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)


def fetch(
    server: AisleServer,
    path: str,
    content: Any = None,
    headers: dict[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """Send a request: GET without content, POST with some, which is sent as JSON unless it is bytes."""
    connection = connect(server, tls)
    body = content if isinstance(content, bytes | None) else json.dumps(content).encode()
    try:
        connection.request("GET" if body is None else "POST", path, body, headers or {})
        return read_reply(connection)
    finally:
        connection.close()


def read_reply(connection: http.client.HTTPConnection) -> Reply:
    response = connection.getresponse()
    found = {key.lower(): value for key, value in response.getheaders()}
    body = response.read()
    if found.get("content-encoding"):
        return Reply(response.status, found, body)
    return Reply(response.status, found, json.loads(body))


def reason(reply: Reply) -> str:
    """The reason in the ErrorInfo of a refusal."""
    return reply.content["details"][0]["reason"]
