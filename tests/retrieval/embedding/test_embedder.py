"""Products to vectors, by the toy bundle as it is and after metric learning."""

from pathlib import Path

import numpy as np
import pytest

from model.errors import PictureError, ProductError, SettingsError
from model.product import Product
from retrieval.embedding.embedder import Embedder
from tests.conftest import toy_picture

RED, BLUE = (40, 40, 220), (200, 80, 30)


@pytest.fixture(scope="module")
def plain(toy_bundle: Path) -> Embedder:
    return Embedder.open(toy_bundle)


@pytest.fixture(scope="module")
def shared(toy_similar: Path) -> Embedder:
    return Embedder.open(toy_similar)


@pytest.mark.parametrize("name", ["plain", "shared"])
def test_a_product_has_the_vectors_of_what_it_has(name: str, request: pytest.FixtureRequest) -> None:
    embedder: Embedder = request.getfixturevalue(name)
    both, picture, text = embedder.embed(
        [
            Product("1", "반팔 티셔츠", image=toy_picture(RED, 1)),
            Product("2", image=toy_picture(RED, 2)),
            Product("3", "반팔 티셔츠"),
        ]
    )
    assert isinstance(both, dict)
    assert isinstance(picture, dict)
    assert isinstance(text, dict)
    assert set(both) == {"image", "text", "joint"}
    assert set(picture) == {"image", "joint"}
    assert set(text) == {"text", "joint"}
    for vectors in (both, picture, text):
        for space, vector in vectors.items():
            assert vector.shape == (embedder.dims[space],)
            assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_a_bad_product_costs_no_neighbour(plain: Embedder) -> None:
    good = Product("1", "데님 청바지")
    first, broken, empty, last = plain.embed([good, Product("2", image=b"no picture"), Product("3"), good])
    assert isinstance(broken, PictureError)
    assert isinstance(empty, ProductError)
    assert "expected something for a vector of image or text or joint" in str(empty)
    assert isinstance(first, dict)
    assert isinstance(last, dict)
    np.testing.assert_array_equal(first["text"], last["text"])


@pytest.mark.parametrize("name", ["plain", "shared"])
def test_a_batch_gives_what_single_products_give(name: str, request: pytest.FixtureRequest) -> None:
    embedder: Embedder = request.getfixturevalue(name)
    products = [Product(str(i), f"반팔 {i}", image=toy_picture((RED, BLUE)[i % 2], i)) for i in range(5)]
    together = embedder.embed(products)
    for product, found in zip(products, together, strict=True):
        [alone] = embedder.embed([product])
        assert isinstance(found, dict)
        assert isinstance(alone, dict)
        for space, vector in found.items():
            np.testing.assert_allclose(alone[space], vector, atol=1e-4)


def test_only_the_spaces_that_are_asked_for(plain: Embedder) -> None:
    [found] = plain.embed([Product("1", "반팔", image=toy_picture(RED, 1))], ("text",))
    assert isinstance(found, dict)
    assert set(found) == {"text"}


def test_a_learned_space_is_shared_by_pictures_and_texts(shared: Embedder, plain: Embedder) -> None:
    assert set(shared.dims.values()) == {16}
    assert plain.dims["joint"] == plain.dims["image"] + plain.dims["text"]
    assert shared.checksum != plain.checksum


def test_like_pictures_are_nearer(plain: Embedder) -> None:
    first, like, other = plain.embed([Product(str(i), image=toy_picture(c, i)) for i, c in enumerate((RED, RED, BLUE))])
    assert isinstance(first, dict)
    assert isinstance(like, dict)
    assert isinstance(other, dict)
    assert first["image"] @ like["image"] > first["image"] @ other["image"]


def test_another_crop_is_another_embedding(toy_bundle: Path, plain: Embedder) -> None:
    assert Embedder.open(toy_bundle, "auto").checksum != plain.checksum


def test_a_space_that_the_bundle_lacks(plain: Embedder) -> None:
    expected = "expected a space of image, text, joint, which this bundle has, found 'sound'"
    with pytest.raises(SettingsError, match=expected):
        plain.check_space("sound")  # type: ignore[arg-type]
