"""What the commands of `python -m training` have in common."""

import os
from pathlib import Path
from typing import Annotated

import tyro

from model.settings import Settings

#: Flags without the group's name before them.
FlatSettings = Annotated[Settings, tyro.conf.OmitArgPrefixes]


def default_cache_dir() -> Path:
    """AISLE_CACHE, or `aisle` in the user's cache folder."""
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("AISLE_CACHE") or user_cache / "aisle")
