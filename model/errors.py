"""Every error Aisle raises on purpose, as a tree.

    AisleError
    ├── AnalyzerError      a morpheme analyser cannot run here (tokenizer/errors.py)
    ├── PretrainedWordsError   their encoder is missing, or another one than a bundle's (tokenizer/errors.py)
    ├── SettingsError      a knob is unknown or out of range
    ├── CatalogError       a catalog as a whole cannot be read (a bad row is a Reject, not an error)
    ├── TaxonomyError      a label or path is not in the tree, or the tree is contradictory
    ├── PictureError       one picture cannot be used
    ├── ProductError       one product cannot be answered
    ├── BundleError        a bundle is damaged, incomplete or of a newer format
    ├── EngineError        a bundle cannot be run on this machine
    ├── VectorIndexError   an index is damaged, of another bundle, or its disk or database refuses
    └── TrainingError      training stopped; the last good state is kept

Each message says what was expected, what was found and what to do.
"""

from tokenizer.errors import AisleError, AnalyzerError, PretrainedWordsError, SettingsError

__all__ = [
    "AisleError",
    "AnalyzerError",
    "BundleError",
    "CatalogError",
    "EngineError",
    "PictureError",
    "PretrainedWordsError",
    "ProductError",
    "SettingsError",
    "TaxonomyError",
    "TrainingError",
    "VectorIndexError",
]


class CatalogError(AisleError):
    """A catalog file cannot be read as a whole."""


class TaxonomyError(AisleError):
    """A category is not in the tree, or the tree contradicts itself."""


class PictureError(AisleError):
    """One picture cannot be decoded or is over a limit; its neighbours are fine."""


class ProductError(AisleError):
    """One product cannot be answered; its neighbours are fine."""


class BundleError(AisleError):
    """A bundle is damaged, incomplete or newer than this program."""


class EngineError(AisleError):
    """The engine asked for cannot run this bundle here."""


class VectorIndexError(AisleError):
    """An index of vectors is damaged, belongs to another bundle, or its disk or database refuses."""


class TrainingError(AisleError):
    """Training stopped before its end; the last good state is kept for --resume."""


class LabelingError(AisleError):
    """Work on labels stopped: they cannot be judged, or a decision does not fit; what is finished is kept."""


class MatcherError(AisleError):
    """A matcher is damaged or belongs to another program or bundle, or cannot be learned from what is there."""
