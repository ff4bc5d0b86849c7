"""The first program: pixels to features, through any classification backbone of keras.applications, or one of ours."""

import inspect
from pathlib import Path
from typing import Any

import keras

from model.errors import BundleError, SettingsError
from model.network.efficientnet_lite import LITE_VARIANTS, build_efficientnet_lite, find_weights
from model.network.layers import BackbonePreprocessing
from model.settings import ImageSettings

#: Momentum of batch norm when it is trained: Keras' default of 0.999 in some backbones needs
#: thousands of steps before inference follows training.
_BATCH_NORM_MOMENTUM = 0.9
#: Our own backbones and their variants.
_LITE = {f"EfficientNetLite{number}": number for number in LITE_VARIANTS}
_DEFAULT_IMAGE_SIZE = 224


def backbone_names() -> list[str]:
    """Names of the backbones: the classifiers' classes in keras.applications, and EfficientNetLite0 to 2."""
    known = (name for name in dir(keras.applications) if _is_backbone(getattr(keras.applications, name)))
    return sorted([*known, *_LITE])


def native_image_size(backbone: str) -> int:
    """Height and width of the pictures that a backbone suits best, pixels."""
    return LITE_VARIANTS[_LITE[backbone]].image_size if backbone in _LITE else _DEFAULT_IMAGE_SIZE


def build_image_encoder(settings: ImageSettings, seed: int) -> keras.Model:
    """Build the encoder with its weights.

    Returns:
        a model from "images" (B, image_size, image_size, 3) uint8 to {"image_features": (B, F) float32}.
    Raises:
        SettingsError: unknown backbone, unsuitable image size, or weights that cannot be had.
    """
    size = settings.image_size
    images = keras.Input((size, size, 3), dtype="uint8", name="images")
    if settings.image_weights.endswith(".keras"):
        backbone, preprocessing = _load_whole(settings), ""
    elif settings.backbone in _LITE:
        backbone, preprocessing = _build_lite(settings, seed), ""
    else:
        backbone, preprocessing = _build_backbone(settings, seed), settings.backbone
    freeze(backbone, settings)
    features = backbone(BackbonePreprocessing(preprocessing, name="preprocessing")(images))
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="pooling")(features)
    features = keras.layers.Activation("linear", dtype="float32", name="image_features")(features)
    return keras.Model(images, {"image_features": features}, name="image_encoder")


def load_image_encoder(path: Path) -> keras.Model:
    """Load an image encoder that a bundle holds as a .keras file.

    Raises:
        BundleError: it cannot be loaded.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise BundleError(f"{path} cannot be loaded: {error}; copy or write the bundle again") from error


def backbone_of(image_encoder: keras.Model) -> keras.Model:
    """The backbone inside an image encoder that `build_image_encoder` made."""
    return next(layer for layer in image_encoder.layers if isinstance(layer, keras.Model))


def _is_backbone(candidate: Any) -> bool:
    return inspect.isfunction(candidate) and "include_top" in inspect.signature(inspect.unwrap(candidate)).parameters


def _build_backbone(settings: ImageSettings, seed: int) -> keras.Model:
    if settings.backbone not in backbone_names():
        raise SettingsError(f"expected a backbone of {', '.join(backbone_names())}; found {settings.backbone!r}")
    keras.utils.set_random_seed(seed)
    size = settings.image_size
    weights = None if settings.image_weights == "none" else settings.image_weights
    try:
        return getattr(keras.applications, settings.backbone)(
            include_top=False, weights=weights, input_shape=(size, size, 3), pooling="avg"
        )
    except Exception as error:
        raise SettingsError(
            f"the backbone {settings.backbone} at {size} px with image_weights {settings.image_weights!r} cannot be"
            f" built: {error}. Give another image_size, a weights file with --image-weights FILE, or"
            " --image-weights none with --finetune-layers -1"
        ) from error


def _build_lite(settings: ImageSettings, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    variant, given = _LITE[settings.backbone], settings.image_weights
    weights = find_weights(variant) if given == "imagenet" else Path(given)
    return build_efficientnet_lite(variant, settings.image_size, None if given == "none" else weights)


def _load_whole(settings: ImageSettings) -> keras.Model:
    try:
        return keras.saving.load_model(settings.image_weights, compile=False, safe_mode=True)
    except Exception as error:
        raise SettingsError(f"image weights {settings.image_weights} cannot be loaded: {error}") from error


def freeze(backbone: keras.Model, settings: ImageSettings) -> None:
    """Have a backbone train the last `finetune_layers` layers; batch norm with given statistics stays frozen."""
    count = len(backbone.layers)
    first = 0 if settings.finetune_layers < 0 else count - settings.finetune_layers
    backbone.trainable = settings.finetune_layers != 0
    for position, layer in enumerate(backbone.layers):
        is_batch_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = position >= first and not (is_batch_norm and settings.image_weights != "none")
        if is_batch_norm:
            layer.momentum = min(layer.momentum, _BATCH_NORM_MOMENTUM)
