"""The few layers that Keras does not have; plain keras.ops, so they run on every backend."""

import importlib
import inspect
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="aisle")
class MissingValue(keras.layers.Layer):
    """Replaces the encoding of an absent field by a learned vector.

    Call with [encoding (B, D), presence (B, 1)]; returns (B, D).
    """

    def build(self, input_shape: Any) -> None:
        """Create the vector."""
        self.missing = self.add_weight(shape=(input_shape[0][-1],), initializer="zeros", name="missing")

    def call(self, inputs: Any) -> Any:
        """Mix by presence, which is 0 or 1."""
        encoding, presence = inputs
        presence = ops.cast(presence, encoding.dtype)
        return encoding * presence + ops.cast(self.missing, encoding.dtype) * (1 - presence)


@keras.saving.register_keras_serializable(package="aisle")
class ModalityDropout(keras.layers.Layer):
    """Hides present fields at random in training, so that any subset is answered (Neverova et al. 2016).

    A share `rate` of the rows keeps one field only, drawn evenly from those it has; in the others each field is
    hidden with chance `rate`. A row that would lose all its fields keeps them. Presence (B, F) in and out.

    Args:
        rate: 0 to 1.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, presence: Any, training: bool = False) -> Any:
        """Drop in training, pass through otherwise."""
        if not training or self.rate == 0:
            return presence
        drawn = self._uniform(presence)
        kept = presence * ops.cast(drawn >= self.rate, presence.dtype)
        has_some = ops.cast(ops.max(kept, axis=-1, keepdims=True) > 0, presence.dtype)
        kept = kept * has_some + presence * (1 - has_some)
        chosen = ops.argmax(presence * (self._uniform(presence) + 1), axis=-1)
        single = presence * ops.one_hot(chosen, presence.shape[-1], dtype=presence.dtype)
        is_single = ops.cast(self._uniform(presence[:, :1]) < self.rate, presence.dtype)
        return single * is_single + kept * (1 - is_single)

    def _uniform(self, like: Any) -> Any:
        return keras.random.uniform(ops.shape(like), seed=self.seed_generator, dtype=like.dtype)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable(package="aisle")
class SharedRows(keras.layers.Layer):
    """Ids of many buckets to rows of a smaller table: neighbours share one. (B, G) int32 in and out.

    Args:
        num_sharing: buckets that share a row.
    """

    def __init__(self, num_sharing: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_sharing = num_sharing

    def call(self, ids: Any) -> Any:
        """Divide."""
        return ops.floor_divide(ids, self.num_sharing)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "num_sharing": self.num_sharing}


def shared_rows(ids: Any, num_sharing: int, name: str) -> Any:
    """`SharedRows` where buckets share a row, else the ids."""
    return SharedRows(num_sharing, name=name)(ids) if num_sharing > 1 else ids


@keras.saving.register_keras_serializable(package="aisle")
class TurnedIds(keras.layers.Layer):
    """Ids as they are where a flag is 1; where it is 0, the lower and the upper half of all ids change places.

    Call with [ids (B, G) int32, flag (B, 1)]; returns (B, G) int32.

    Args:
        num_ids: how many there are; even.
    """

    def __init__(self, num_ids: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_ids = num_ids

    def call(self, inputs: Any) -> Any:
        """Add half of them, or take it away."""
        ids, flag = inputs
        half = self.num_ids // 2
        return ops.where(flag > 0, ids, ops.where(ids < half, ids + half, ids - half))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "num_ids": self.num_ids}


@keras.saving.register_keras_serializable(package="aisle")
class FieldFlag(keras.layers.Layer):
    """Takes one field's column (B, 1) out of the presence flags (B, F)."""

    def __init__(self, position: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.position = position

    def call(self, presence: Any) -> Any:
        """Slice."""
        return presence[:, self.position : self.position + 1]

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "position": self.position}


@keras.saving.register_keras_serializable(package="aisle")
class Affine(keras.layers.Layer):
    """`scale` times the input plus `offset`. Keras's own Rescaling looks for TensorFlow on every backend.

    Args:
        scale, offset: of every element.
    """

    def __init__(self, scale: float, offset: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset

    def call(self, inputs: Any) -> Any:
        """Multiply and add."""
        return inputs * ops.cast(self.scale, inputs.dtype) + ops.cast(self.offset, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}


@keras.saving.register_keras_serializable(package="aisle")
class BackbonePreprocessing(keras.layers.Layer):
    """The backbone's own `preprocess_input` inside the model, on (B, H, W, 3) pixels of 0 to 255.

    Args:
        backbone: class name in keras.applications, or "" for a model that takes raw pixels.
    """

    def __init__(self, backbone: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.backbone = backbone

    def call(self, images: Any) -> Any:
        """Cast and scale."""
        pixels = ops.cast(images, self.compute_dtype)
        if not self.backbone:
            return pixels
        builder = inspect.unwrap(getattr(keras.applications, self.backbone))
        return importlib.import_module(builder.__module__).preprocess_input(pixels, data_format="channels_last")

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "backbone": self.backbone}
