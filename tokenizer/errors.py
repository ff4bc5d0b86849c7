"""The base class of Aisle's errors (`model/errors.py` shows the hierarchy) and the errors of the tokenizer."""


class AisleError(Exception):
    """Base class of all errors whose message is meant for the user."""


class AnalyzerError(AisleError):
    """A morpheme analyser cannot run on this machine."""


class PretrainedWordsError(AisleError):
    """The encoder of pretrained words is not installed, or differs from a bundle's."""


class SettingsError(AisleError):
    """A setting is unknown, of the wrong type or out of range."""


def require(is_valid: bool, name: str, expected: str, found: object) -> None:
    """Raise SettingsError about one setting unless it is valid."""
    if not is_valid:
        raise SettingsError(f"{name}: expected {expected}, found {found!r}")
