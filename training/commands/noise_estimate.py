"""The share of wrong labels that `python -m labeling issues` found, from the folder it wrote."""

import dataclasses
import json
from pathlib import Path

from model.errors import SettingsError
from model.settings import Settings

_FILE = "summary.json"
_SHARE = "estimated_share"


def with_noise_of(settings: Settings, folder: Path) -> Settings:
    """The settings with the noise rate of a folder of label issues.

    Raises:
        SettingsError: the settings name a rate, or no method that needs one, or the folder has none.
    """
    noise = settings.noise
    if noise.noise not in ("selfie", "coteaching"):
        raise SettingsError(f"--noise-from: expected --noise selfie or coteaching beside it, found {noise.noise}")
    if noise.noise_rate:
        raise SettingsError(f"--noise-from: expected no --noise-rate beside it, found {noise.noise_rate:g}")
    rate = _estimated_share(folder / _FILE)
    if rate == 0:
        raise SettingsError(f"{folder / _FILE}: no wrong labels were found, so train without --noise {noise.noise}")
    return dataclasses.replace(settings, noise=dataclasses.replace(noise, noise_rate=rate))


def _estimated_share(path: Path) -> float:
    what_to_do = "give the folder that python -m labeling issues wrote, or --noise-rate"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; {what_to_do}") from error
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON: {error}; {what_to_do}") from error
    share = values.get(_SHARE) if isinstance(values, dict) else None
    if not isinstance(share, int | float) or not 0 <= share < 1:
        raise SettingsError(f"{path}: expected '{_SHARE}' of 0 to below 1, found {share!r}; {what_to_do}")
    return float(share)
