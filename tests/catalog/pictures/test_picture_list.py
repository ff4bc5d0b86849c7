"""Fields of several pictures as shops export them; and names that only look like several."""

from pathlib import Path

import pytest

from catalog.pictures.picture_list import first_of, first_picture

CDN = "https://cdn.example"


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ("", ""),
        ("  a.jpg ", "a.jpg"),
        ('["a.jpg","b.jpg"]', "a.jpg"),
        ('["", " b.jpg "]', "b.jpg"),
        ("[]", ""),
        (f'["{CDN}/a,w_300.jpg", "{CDN}/b.jpg"]', f"{CDN}/a,w_300.jpg"),
        ("[draft] a.jpg", "[draft] a.jpg"),
        ('[{"src": "a"}]', '[{"src": "a"}]'),
        ("[" * 9_000, "[" * 9_000),
        ("a.jpg|b.jpg", "a.jpg"),
        ("a.JPG,b.png;c.webp", "a.JPG"),
        ("a.heic\nb.avif\n", "a.heic"),
        (f"a.jpg, {CDN}/b?x=1", "a.jpg"),
        ("front, red.jpg", "front, red.jpg"),
        ("a.jpg,b", "a.jpg,b"),
        (f"{CDN}/a.jpg,{CDN}/b.jpg", f"{CDN}/a.jpg"),
        (f"{CDN}/a.jpg | HTTP://b.example/b.jpg", f"{CDN}/a.jpg"),
        (f"{CDN}/a.jpg\n{CDN}/b.jpg", f"{CDN}/a.jpg"),
        (f"{CDN}/w_300,h_300/a.jpg;q=1, {CDN}/b.jpg", f"{CDN}/w_300,h_300/a.jpg;q=1"),
        (f"{CDN}/a.jpg?sizes=1|2,3", f"{CDN}/a.jpg?sizes=1|2,3"),
        ("|", "|"),
    ],
)
def test_the_first_of_several(images: str, expected: str, tmp_path: Path) -> None:
    assert first_picture(images, tmp_path) == expected


@pytest.mark.parametrize("name", ["a.jpg|b.jpg", "a.jpg,b.jpg", "a.jpg;b.jpg"])
def test_a_file_of_that_name_is_one_picture(name: str, tmp_path: Path) -> None:
    assert first_picture(name, tmp_path) == "a.jpg"
    (tmp_path / name).touch()
    assert first_picture(f" {name}", tmp_path) == name


def test_a_list_longer_than_a_files_name_may_be(tmp_path: Path) -> None:
    assert first_picture("|".join(["a.jpg"] * 3000), tmp_path) == "a.jpg"


def test_lists_proper() -> None:
    assert [first_of(value) for value in (["", "a", "b"], [], [None], "a", 3)] == ["a", None, None, "a", 3]
