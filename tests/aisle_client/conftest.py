"""Fixtures: a running server with the toy bundle, and one that has an index of the toy shop beside it."""

from tests.client.conftest import offers, search_target, server, target, write_token

__all__ = ["offers", "search_target", "server", "target", "write_token"]
