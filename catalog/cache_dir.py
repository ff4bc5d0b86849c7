"""The folder in which what is computed or fetched for catalogs is kept."""

import os
from pathlib import Path


def default_cache_dir() -> Path:
    """Return AISLE_CACHE, or `aisle` in the user's cache folder."""
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("AISLE_CACHE") or user_cache / "aisle")
