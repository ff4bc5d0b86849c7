"""Requirements of the methods of training through wrong labels, checked before any work."""

from model.errors import SettingsError
from model.settings import NoiseSettings

_NEED_A_RATE = ("selfie", "coteaching")


def require_noise_rate(settings: NoiseSettings) -> None:
    """Refuse a method that needs the share of wrong labels without it.

    Raises:
        SettingsError: with what to give.
    """
    if settings.noise in _NEED_A_RATE and settings.noise_rate == 0:
        raise SettingsError(
            f"--noise {settings.noise} has to know the share of wrong labels, and it is not known: give --noise-rate,"
            " or the folder that python -m labeling issues wrote with --noise-from"
        )


def refuse_row_methods(settings: NoiseSettings) -> None:
    """Refuse a method that keeps something for each row where trials continue each other.

    Raises:
        SettingsError: with those that are possible.
    """
    if settings.noise not in ("none", "smoothing"):
        raise SettingsError(
            f"--noise {settings.noise} is not searched over: expected none or smoothing; train the best settings with"
            f" train --config best.toml --noise {settings.noise}"
        )
