"""Encodings of shops' files, found by looking."""

import io
import logging
from pathlib import Path

import pytest

from catalog.formats.text_encoding import look_for_encoding
from model.errors import CatalogError

TEXTS = {
    "cp949": ("오뚜기 라운드 티,의류>상의", "린넨 쿠션 커버,가구>쿠션", "무선 청소기,가전>청소기"),
    "cp1252": ("Müslischale groß,Küche>Schüsseln", "Töpfe für Kräuter,Garten", "Handtücher weiß,Bad"),
    "cp1250": ("koszula męska żółta,odzież", "łyżka do zupy,kuchnia", "buty dziecięce,obuwie"),
    "cp1251": ("рубашка синяя,одежда", "игрушка мягкая,игрушки", "чайник стальной,кухня"),
    "gb18030": ("男士衬衫 纯棉,服装>男装", "儿童玩具 汽车,玩具", "不锈钢锅,家居>厨房"),
    "big5": ("男士襯衫 純棉,服裝>男裝", "兒童玩具 汽車,玩具", "不鏽鋼鍋,家居>廚房"),
    "cp932": ("メンズシャツ 綿,衣類>メンズ", "おもちゃの車,おもちゃ", "ステンレス鍋,家庭用品"),
    "euc_jp": ("メンズシャツ 綿,衣類>メンズ", "おもちゃの車,おもちゃ", "ステンレス鍋,家庭用品"),
    "utf-8": ("오뚜기 라운드 티,의류>상의", "Müslischale,Küche", "コップ,家庭用品"),
}


def looked(data: bytes) -> str:
    return look_for_encoding(Path("shop.csv"), io.BytesIO(data))


@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("times", [1, 100])
def test_the_encoding_of_a_shop_is_found(encoding: str, times: int) -> None:
    lines = [f"{number},{text}\n" for number, text in enumerate(TEXTS[encoding] * times)]
    assert looked("".join(["id,name,category\n", *lines]).encode(encoding)) == encoding


@pytest.mark.parametrize("text", ["cafetera eléctrica", "calça de verão", "caffè macinato", "blå skjorta", "rød kjole"])
def test_western_languages_are_not_taken_for_eastern_ones(text: str) -> None:
    assert looked(f"{text}\n".encode("cp1252") * 5) == "cp1252"


def test_ascii_and_nothing_are_utf8() -> None:
    assert looked(b"") == looked(b"id,name\n1,shirt\n") == "utf-8"


def test_single_bad_bytes_do_not_change_the_encoding() -> None:
    assert looked("1,가방\n".encode() * 3 + b"2,\xff\xfe\n") == "utf-8"


def test_what_may_be_anything_is_refused_but_for_a_few_lines() -> None:
    anything = bytes(range(128, 256)) + b"\n"
    assert looked(anything) == "utf-8"
    with pytest.raises(CatalogError, match=r"shop\.csv: expected UTF-8, found .*; name it with --encoding, or save"):
        looked(anything * 3)


def test_an_encoding_that_was_found_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aisle.catalog")
    look_for_encoding(Path("said.csv"), io.BytesIO("\n".join(TEXTS["cp949"]).encode("cp949")))
    assert "said.csv is not UTF-8; it is read as cp949" in caplog.text
