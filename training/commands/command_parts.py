"""Parts shared by the commands of `python -m training`."""

import os
from pathlib import Path
from typing import Annotated

import tyro

from model.settings import Settings

#: Settings whose flags have no prefix of their group.
FlatSettings = Annotated[Settings, tyro.conf.OmitArgPrefixes]


def default_cache_dir() -> Path:
    """Return AISLE_CACHE, or `aisle` in the user's cache folder."""
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("AISLE_CACHE") or user_cache / "aisle")
