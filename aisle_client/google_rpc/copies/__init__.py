"""Stubs of `google/rpc/*.proto`, built, not committed; `aisle_client.google_rpc` says when they are used."""
