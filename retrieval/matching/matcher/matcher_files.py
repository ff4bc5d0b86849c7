"""A matcher in a folder: numbers, words and trees, nothing that executes code."""

import dataclasses
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import MatcherError
from retrieval.index.placing import put_in_place
from retrieval.matching.matcher.matcher import KnownPairs, Matcher, MatcherDescription, matcher_feature_names
from retrieval.matching.matcher.word_evidence import WordEvidence

FORMAT_VERSION = 1
DESCRIPTION_FILE = "matcher.json"
_TREES = "trees_"
_WORDS_FILE = "words.json"
_WEIGHTS_FILE = "word_weights.npz"
_PAIRS_FILE = "known_pairs.npz"
_REMEDY = "train it again with python -m retrieval train-matcher"


def save_matcher(matcher: Matcher, folder: Path) -> None:
    """Write a matcher aside, then let it take its name; another matcher there is replaced.

    Raises:
        MatcherError: the folder holds something else, or the disk refuses.
    """
    check_target(folder)
    aside = folder.with_name(f".{folder.name}.partial")
    files = _files(matcher)
    description = {
        "format_version": FORMAT_VERSION,
        **dataclasses.asdict(matcher.description),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    files[DESCRIPTION_FILE] = json.dumps(description, ensure_ascii=False, indent=1).encode()
    try:
        aside.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (aside / name).write_bytes(content)
        put_in_place(aside, folder)
    except OSError as error:
        raise MatcherError(
            f"{folder} could not be written: {error.strerror}; free space or choose another disk"
        ) from error


def check_target(folder: Path) -> None:
    """Check that a matcher can be written to a folder.

    Raises:
        MatcherError: it holds something else.
    """
    is_free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not is_free and not (folder / DESCRIPTION_FILE).exists():
        raise MatcherError(f"{folder} exists and is no matcher; choose another folder or remove it")


def load_matcher(folder: Path) -> Matcher:
    """Read a matcher.

    Raises:
        MatcherError: there is none, it is damaged, or of another program.
    """
    import lightgbm

    values = _description(folder)
    contents: dict[str, bytes] = {}
    for name, checksum in values.pop("sha256").items():
        try:
            contents[name] = (folder / name).read_bytes()
        except OSError as error:
            raise MatcherError(f"{folder / name} cannot be read: {error.strerror}; {_REMEDY}") from error
        if hashlib.sha256(contents[name]).hexdigest() != checksum:
            raise MatcherError(f"{folder / name} is damaged: its checksum is another; {_REMEDY}")
    try:
        description = MatcherDescription(**values | {"features": tuple(values["features"])})
        weights = np.load(io.BytesIO(contents[_WEIGHTS_FILE]), allow_pickle=False)
        words = json.loads(contents[_WORDS_FILE])
        evidence = WordEvidence(words, weights["shared"], weights["single"], float(weights["bias"]))
        texts = [contents[name].decode() for name in sorted(contents) if name.startswith(_TREES)]
        trees = [lightgbm.Booster(model_str=text) for text in texts]
        pairs = np.load(io.BytesIO(contents[_PAIRS_FILE]), allow_pickle=False)
        known = KnownPairs(pairs["probabilities"], pairs["same"])
    except (KeyError, TypeError, ValueError, lightgbm.basic.LightGBMError) as error:
        raise MatcherError(f"{folder} is damaged: {error!r}; {_REMEDY}") from error
    if description.features != matcher_feature_names():
        raise MatcherError(f"{folder} reads features that this program does not compute; {_REMEDY}")
    return Matcher(description, evidence, trees, known)


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version = values.pop("format_version")
    except OSError as error:
        raise MatcherError(
            f"{folder} is no matcher: {DESCRIPTION_FILE} cannot be read ({error.strerror}); give the folder that"
            " python -m retrieval train-matcher wrote"
        ) from error
    except (ValueError, KeyError, AttributeError) as error:
        raise MatcherError(f"{path} is damaged: {error}; {_REMEDY}") from error
    if version != FORMAT_VERSION:
        raise MatcherError(f"{path} has format {version}, this program reads format {FORMAT_VERSION}; {_REMEDY}")
    if not isinstance(values.get("sha256"), dict):
        raise MatcherError(f"{path} is damaged: it names no files; {_REMEDY}")
    return dict(values)


def _files(matcher: Matcher) -> dict[str, bytes]:
    evidence, known = matcher.evidence, matcher.known
    files = {
        f"{_TREES}{number}.txt": trees.model_to_string(importance_type="gain").encode()
        for number, trees in enumerate(matcher.trees)
    }
    return files | {
        _WORDS_FILE: json.dumps(list(evidence.words), ensure_ascii=False).encode(),
        _WEIGHTS_FILE: _npz(shared=evidence.shared, single=evidence.single, bias=np.float64(evidence.bias)),
        _PAIRS_FILE: _npz(probabilities=known.probabilities, same=known.same),
    }


def _npz(**arrays: Any) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()
