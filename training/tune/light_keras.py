"""Keras for a process that only chooses trials and runs no network."""

import os
import sys


def import_light_keras() -> None:
    """Import Keras on NumPy, which starts in a second; to be called before anything imports it.

    What this process starts afterwards has the backend of the environment, as if this had not happened.
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
