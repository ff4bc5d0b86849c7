"""A field that names several pictures of a product: the first is the one that counts."""

import json
import os
import re
from pathlib import Path

#: A list of URLs is cut where another URL begins, as a URL may hold commas and semicolons itself.
_NEXT_URL = re.compile(r"[\s|;,]+(?=https?://)", re.IGNORECASE)
_URL = re.compile(r"https?://", re.IGNORECASE)
_CUT = re.compile(r"[|;,\n\r]")
_PICTURE_NAME = re.compile(r"\.(?:jpe?g|jfif|png|webp|gif|bmp|tiff?|avif|hei[cf])$", re.IGNORECASE)


def first_picture(images: str, folder: Path) -> str:
    r"""Return the first path or URL of a field, without spaces around; '' of an empty one.

    Several are a JSON list, or texts joined by `|`, `,`, `;` or line ends: URLs are cut where the next one begins,
    paths only where every part ends like a picture's name and no file goes by the whole of it.

    Args:
        images: as in the catalog.
        folder: of the catalog; whether a file goes by the whole name is looked up there.
    """
    images = images.strip()
    if images.startswith("["):
        images = _first_of_json(images)
    if _URL.match(images):
        return _NEXT_URL.split(images, maxsplit=1)[0]
    if not _CUT.search(images):
        return images
    parts = [part for part in map(str.strip, _CUT.split(images)) if part]
    are_pictures = all(_PICTURE_NAME.search(part) or _URL.match(part) for part in parts)
    # Not Path.exists, which raises for a name that is too long.
    is_file = os.path.exists(folder / images)  # noqa: PTH110
    return parts[0] if parts and are_pictures and not is_file else images


def first_of(value: object) -> object:
    """Return the first value of a list that is one in JSON Lines or Parquet, None of an empty one; others unchanged."""
    if isinstance(value, list):
        return next((entry for entry in value if entry), None)
    return value


def _first_of_json(images: str) -> str:
    try:
        values = json.loads(images)
    except (ValueError, RecursionError):
        return images
    found = first_of(values)
    if found is None:
        return ""
    return found.strip() if isinstance(found, str) else images
