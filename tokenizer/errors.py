"""The base of Aisle's errors (`model/errors.py` draws the tree) and the tokenizer's own."""


class AisleError(Exception):
    """Base of all errors whose message is meant for the user."""


class AnalyzerError(AisleError):
    """A morpheme analyser cannot run on this machine."""
