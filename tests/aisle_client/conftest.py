"""Fixtures: a running server with the toy bundle."""

from tests.client.conftest import server, target

__all__ = ["server", "target"]
