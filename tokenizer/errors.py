"""The base of Aisle's errors (`model/errors.py` draws the tree) and the tokenizer's own."""


class AisleError(Exception):
    """Base of all errors whose message is meant for the user."""


class AnalyzerError(AisleError):
    """A morpheme analyser cannot run on this machine."""


class PretrainedWordsError(AisleError):
    """The encoder of pretrained words is missing, or another one than a bundle's."""


class SettingsError(AisleError):
    """A setting is unknown, of the wrong type or out of range."""


def require(is_valid: bool, name: str, expected: str, found: object) -> None:
    """Raise SettingsError about one setting unless it is valid."""
    if not is_valid:
        raise SettingsError(f"{name}: expected {expected}, found {found!r}")
