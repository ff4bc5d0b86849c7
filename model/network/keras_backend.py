"""Prepares Keras before anything is built: backend, dtype policy, seed, determinism, speed."""

import os

from model.errors import SettingsError
from model.machine.cores import usable_cores
from model.machine.memory import keep_freed_memory
from model.settings import TrainingSettings

#: Threads of one operation in TensorFlow, and in PyTorch and others that use OpenMP.
_THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")


def prepare_keras(settings: TrainingSettings) -> str:
    """Choose the backend (KERAS_BACKEND wins over the setting), fix seeds and the dtype policy.

    Returns:
        the backend's name.
    Raises:
        SettingsError: the backend is not installed, or Keras already runs another one.
    """
    backend = os.environ.setdefault("KERAS_BACKEND", settings.backend)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow turns oneDNN on by itself only with AVX-512; with AVX2 its kernels are the quicker ones, too.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # By default a backend starts a thread for each core of the machine, whatever a container may use of them.
    for variable in _THREAD_VARIABLES:
        os.environ.setdefault(variable, str(usable_cores()))
    keep_freed_memory()
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
