"""The location of an index: a folder, or tables of a PostgreSQL."""

_SCHEMES = ("postgresql://", "postgres://")


def is_remote(location: str) -> bool:
    """True for the URL of a PostgreSQL, False for a folder."""
    return location.startswith(_SCHEMES)
