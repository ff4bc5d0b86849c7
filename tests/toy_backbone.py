"""The picture backbone of the toy bundle, in a file beside this one: `python -m tests.toy_backbone` writes it anew.

It sees what any backbone sees, and is exported, quantised and served in a fraction of the time of the smallest of
keras.applications.
"""

from pathlib import Path

TOY_BACKBONE = Path(__file__).with_suffix(".keras")
#: Height and width of a picture, pixels; and the features of one.
TOY_IMAGE_SIZE, TOY_IMAGE_DIM = 32, 32


def write_toy_backbone(path: Path) -> None:
    """Two convolutions with random weights, and a batch norm between them, which tuning freezes."""
    import keras

    keras.utils.set_random_seed(2)
    pixels = keras.Input((TOY_IMAGE_SIZE, TOY_IMAGE_SIZE, 3), name="pixels")
    hidden = keras.layers.Rescaling(1 / 127.5, -1, name="rescaling")(pixels)
    hidden = keras.layers.Conv2D(8, 3, strides=2, use_bias=False, name="first_convolution")(hidden)
    hidden = keras.layers.ReLU(name="relu")(keras.layers.BatchNormalization(name="batch_norm")(hidden))
    hidden = keras.layers.Conv2D(TOY_IMAGE_DIM // 2, 3, strides=2, activation="relu", name="second_convolution")(hidden)
    means = keras.layers.GlobalAveragePooling2D(name="means")(hidden)
    peaks = keras.layers.GlobalMaxPooling2D(name="peaks")(hidden)  # tell pictures of one colour apart
    features = keras.layers.Concatenate(name="features")([means, peaks])
    keras.Model(pixels, features, name="toy_backbone").save(path)


if __name__ == "__main__":
    write_toy_backbone(TOY_BACKBONE)
