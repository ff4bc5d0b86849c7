"""Products to classifier inputs."""

from pathlib import Path

import numpy as np
import pytest

from model.bundle.bundle import load_bundle
from model.errors import PictureError, ProductError
from model.preprocessor import Preprocessor
from model.product import Product
from model.settings import FieldSettings, ImageSettings, text_fields
from tests.conftest import toy_picture
from tests.toy_backbone import TOY_IMAGE_DIM
from tokenizer.settings import TokenizerSettings
from tokenizer.tokenizer import Tokenizer

TOKENIZER = Tokenizer(
    TokenizerSettings(analyzer="script", vector_size=2, hash_buckets=16, ngram_min_count=1),
    text_fields(("name", "brand"), FieldSettings()),
    ["red", "cap"],
    np.ones((4, 2), np.float32),
    np.ones(16, np.int64),
    {"name": 3, "brand": 3},
)
IMAGE = ImageSettings(image_size=8)
NOTHING_GIVEN = "expected a name, a brand or a picture; every field is empty"


@pytest.fixture
def preprocessor() -> Preprocessor:
    return Preprocessor(TOKENIZER, ("name", "brand", "image"), IMAGE, 3)


def test_presence_by_eye(preprocessor: Preprocessor) -> None:
    products = [
        Product("1", "red", brand="acme", image=b"x"),
        Product("2", "--", mall_category="cap"),
        Product("3", image_features=np.zeros(3, np.float32)),
    ]
    presence = preprocessor.presence(products)
    assert presence.tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 1]]
    assert presence.dtype == np.float32
    assert preprocessor.presence([]).shape == (0, 3)


def test_features_by_eye(preprocessor: Preprocessor) -> None:
    products = [Product("1", "red cap"), Product("2", "cap", image_features=np.array([7, 8, 9], np.float32))]
    encoded = np.arange(6, dtype=np.float32).reshape(2, 3)
    features = preprocessor.features(products, encoded)
    assert features["name_token_ids"][:, :2].tolist() == [[2, 3], [3, 0]]
    assert features["image_features"].tolist() == [[0, 1, 2], [7, 8, 9]]
    assert encoded.tolist() == [[0, 1, 2], [3, 4, 5]]  # left alone
    assert features["presence"].tolist() == [[1, 0, 0], [1, 0, 1]]
    assert set(features) == {
        "name_token_ids", "name_ngram_ids", "name_ngram_weights", "brand_ngram_ids", "brand_ngram_weights",
        "image_features", "presence",
    }  # fmt: skip
    assert not preprocessor.features(products[:1])["image_features"].any()


def test_a_model_without_pictures_reads_none() -> None:
    preprocessor = Preprocessor(TOKENIZER, ("name",), IMAGE, 0)
    product = Product("1", "red", image=b"broken", image_features=np.zeros(99))
    preprocessor.check(product)
    assert preprocessor.decode(product) is None
    assert preprocessor.empty_image_features(2) is None
    assert "image_features" not in preprocessor.features([product])


def test_decoding(preprocessor: Preprocessor) -> None:
    pixels = preprocessor.decode(Product("1", image=toy_picture((0, 0, 255), 0)))
    assert pixels is not None
    assert pixels.shape == (8, 8, 3)
    assert pixels[..., 0].mean() > 200  # red comes first
    assert pixels[..., 2].mean() < 60
    assert preprocessor.decode(Product("1", "red")) is None
    with pytest.raises(PictureError, match="found 0 bytes"):
        preprocessor.decode(Product("1", "red", image=b""))


@pytest.mark.parametrize(
    ("product", "message"),
    [
        (Product("1"), NOTHING_GIVEN),
        (Product("1", "?!"), NOTHING_GIVEN),
        (Product("1", maker="acme"), "this model reads only name, brand, image; the product has none of them"),
        (Product("1", "red", image_features=np.zeros(4)), "expected image_features of 3 numbers, found 4"),
        (Product("1", "red", image_features=np.zeros(0)), "expected image_features of 3 numbers, found 0"),
        (Product("1", "red", image_features=np.zeros((1, 3))), "expected image_features of 3 numbers, found 3"),
        (
            Product("1", "red", image_features=np.array([0, np.nan, 0])),
            "expected finite image_features, found NaN or infinity",
        ),
    ],
)
def test_what_cannot_be_answered(preprocessor: Preprocessor, product: Product, message: str) -> None:
    with pytest.raises(ProductError) as raised:
        preprocessor.check(product)
    assert str(raised.value) == message


def test_a_bundle_brings_its_own(toy_bundle: Path) -> None:
    preprocessor = load_bundle(toy_bundle).preprocessor
    assert preprocessor.fields == ("name", "mall_category", "brand", "maker", "image")
    assert preprocessor.image_feature_dim == TOY_IMAGE_DIM
    assert preprocessor.image.image_size == 32
