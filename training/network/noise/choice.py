"""The method that the settings name, and what it asks for."""

import dataclasses

import keras
import numpy as np

from model.network.classifier import build_classifier
from model.settings import Settings, TrainingSettings
from training.network.noise.coteaching import CoTeaching
from training.network.noise.elr import EarlyLearning
from training.network.noise.method import NoiseMethod
from training.network.noise.requirements import require_noise_rate
from training.network.noise.selfie import Selfie
from training.network.optimization import over_logits
from training.preparation import Prepared


def training_settings(settings: Settings) -> TrainingSettings:
    """The optimisation, with the smoothing that the noise asks for."""
    if settings.noise.noise != "smoothing":
        return settings.training
    return dataclasses.replace(settings.training, label_smoothing=settings.noise.noise_smoothing)


def noise_method(prepared: Prepared, settings: Settings) -> NoiseMethod | None:
    """The method for a training catalog; None where every label is learned as it is given.

    Raises:
        SettingsError: the share of wrong labels is not known.
    """
    noise = settings.noise
    require_noise_rate(noise)
    labels, num_classes = np.asarray(prepared.train.arrays["labels"]), prepared.shape.num_classes
    if noise.noise == "elr":
        return EarlyLearning(len(labels), num_classes, noise)
    if noise.noise == "selfie":
        return Selfie(labels, num_classes, settings.training.epochs, noise)
    if noise.noise == "coteaching":
        return CoTeaching(_peer(prepared, settings), noise)
    return None


def _peer(prepared: Prepared, settings: Settings) -> keras.Model:
    seed = settings.training.seed + 1
    return over_logits(build_classifier(prepared.shape, settings.model, settings.fields, prepared.tokenizer, seed))
