"""Supervised problems a lifetime trains on: task families, augmentation and data sets."""

from heurax.tasks.augmentation import (
    BFloat16,
    DelayedGradient,
    ESGradient,
    LabelNoise,
    NormalizedGradient,
    RandomDirectionGradient,
    ReducedBatch,
    Reparameterized,
)
from heurax.tasks.auto_encoder import AutoEncoder
from heurax.tasks.base import Split, TaskFamily
from heurax.tasks.conv_net import ConvNet
from heurax.tasks.cost import TaskCost, task_cost
from heurax.tasks.datasets import (
    DATA_SOURCES,
    DATASETS,
    TEXTS,
    ClassificationData,
    DataSource,
    HuggingFaceData,
    ImageFiles,
    ImageFolder,
    NumpyFiles,
    RecordFiles,
    Stream,
    TextData,
    write_records,
)
from heurax.tasks.image_mlp import ImageMLP
from heurax.tasks.mixed_image_mlp import MixedImageMLP
from heurax.tasks.mlp_mixer import MLPMixer
from heurax.tasks.named import NAMED_TASKS, named_task
from heurax.tasks.own import OwnTask
from heurax.tasks.quadratic import Quadratic
from heurax.tasks.res_net import ResNet
from heurax.tasks.rnn_language_model import RNNLanguageModel
from heurax.tasks.rule_training import RuleTraining
from heurax.tasks.sampling import SAMPLERS, augment, sample_family
from heurax.tasks.softmax_regression import SoftmaxRegression
from heurax.tasks.transformer_language_model import TransformerLanguageModel
from heurax.tasks.variational_auto_encoder import VariationalAutoEncoder
from heurax.tasks.vision_transformer import VisionTransformer

__all__ = [
    "DATASETS",
    "DATA_SOURCES",
    "NAMED_TASKS",
    "SAMPLERS",
    "TASKS",
    "TEXTS",
    "AutoEncoder",
    "BFloat16",
    "ClassificationData",
    "ConvNet",
    "DataSource",
    "DelayedGradient",
    "ESGradient",
    "HuggingFaceData",
    "ImageFiles",
    "ImageFolder",
    "ImageMLP",
    "LabelNoise",
    "MLPMixer",
    "MixedImageMLP",
    "NormalizedGradient",
    "NumpyFiles",
    "OwnTask",
    "Quadratic",
    "RNNLanguageModel",
    "RandomDirectionGradient",
    "RecordFiles",
    "ReducedBatch",
    "Reparameterized",
    "ResNet",
    "RuleTraining",
    "SoftmaxRegression",
    "Split",
    "Stream",
    "TaskCost",
    "TaskFamily",
    "TextData",
    "TransformerLanguageModel",
    "VariationalAutoEncoder",
    "VisionTransformer",
    "augment",
    "named_task",
    "sample_family",
    "task_cost",
    "write_records",
]

TASKS: dict[str, type[TaskFamily]] = {
    task.__name__: task
    for task in (
        AutoEncoder,
        ConvNet,
        ImageMLP,
        MixedImageMLP,
        MLPMixer,
        Quadratic,
        ResNet,
        RNNLanguageModel,
        RuleTraining,
        SoftmaxRegression,
        TransformerLanguageModel,
        VariationalAutoEncoder,
        VisionTransformer,
        BFloat16,
        DelayedGradient,
        ESGradient,
        LabelNoise,
        NormalizedGradient,
        RandomDirectionGradient,
        ReducedBatch,
        Reparameterized,
    )
}
"""Task families by name; augmentations, which are families around a family, last."""
