"""The folder in which what is computed or fetched for catalogs is kept."""

import os
from pathlib import Path


def default_cache_dir() -> Path:
    """Return AISLE_CACHE, or `aisle` in the user's cache folder; that of a user without a home is `.cache` here."""
    if given := os.environ.get("AISLE_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache") / "aisle"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # neither HOME nor a passwd entry, as in a container with a user of its own
        return Path.cwd()
