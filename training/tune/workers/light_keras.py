"""A fast import of Keras for a process that chooses trials but runs no network."""

import os
import sys


def import_light_keras() -> None:
    """Import Keras with the NumPy backend, which takes a second; to be called before any other import of Keras.

    Child processes started later still have the backend of the environment.
    """
    if "keras" in sys.modules:
        return
    chosen = os.environ.get("KERAS_BACKEND")
    os.environ["KERAS_BACKEND"] = "numpy"
    try:
        import keras  # noqa: F401
    finally:
        del os.environ["KERAS_BACKEND"]
        if chosen is not None:
            os.environ["KERAS_BACKEND"] = chosen
