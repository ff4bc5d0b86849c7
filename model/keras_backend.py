"""Prepares Keras before anything is built: backend, dtype policy, seed, determinism."""

import os

from model.errors import SettingsError
from model.settings import TrainingSettings


def prepare_keras(settings: TrainingSettings) -> str:
    """Choose the backend (KERAS_BACKEND wins over the setting), fix seeds and the dtype policy.

    Returns:
        the backend's name.
    Raises:
        SettingsError: the backend is not installed, or Keras already runs another one.
    """
    backend = os.environ.setdefault("KERAS_BACKEND", settings.backend)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import keras
    except (ImportError, ValueError) as error:  # ValueError for a name that Keras does not know
        raise SettingsError(f"the Keras backend {backend} cannot start: {error}; set another --backend") from error
    if keras.backend.backend() != backend:
        raise SettingsError(f"Keras already runs on {keras.backend.backend()}, {backend} was asked for; start afresh")
    keras.config.set_dtype_policy(settings.precision_policy)
    keras.utils.set_random_seed(settings.seed)
    if backend == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    return backend
