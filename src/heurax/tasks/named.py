"""Fixed tasks for evaluation, by name: a VeLOdrome in the small."""

from heurax.tasks.augmentation import BFloat16, LabelNoise, ReducedBatch, Reparameterized
from heurax.tasks.auto_encoder import AutoEncoder
from heurax.tasks.base import TaskFamily
from heurax.tasks.conv_net import ConvNet
from heurax.tasks.image_mlp import ImageMLP
from heurax.tasks.mlp_mixer import MLPMixer
from heurax.tasks.quadratic import Quadratic
from heurax.tasks.res_net import ResNet
from heurax.tasks.rnn_language_model import RNNLanguageModel
from heurax.tasks.rule_training import RuleTraining
from heurax.tasks.softmax_regression import SoftmaxRegression
from heurax.tasks.transformer_language_model import TransformerLanguageModel
from heurax.tasks.variational_auto_encoder import VariationalAutoEncoder
from heurax.tasks.vision_transformer import VisionTransformer

__all__ = ["NAMED_TASKS", "named_task"]

MLP = ImageMLP(batch_size=64)

NAMED_TASKS: dict[str, TaskFamily] = {
    "quadratic": Quadratic(),
    "quadratic_ill": Quadratic(dimension=100, condition_number=1e4, noise=0.1),
    "logistic_breast_cancer": SoftmaxRegression("breast_cancer", batch_size=32),
    "softmax_digits": SoftmaxRegression("digits"),
    "softmax_wine_ill": SoftmaxRegression("wine", feature_scale=(0.01, 10.0), batch_size=32),
    "mlp_digits": MLP,
    "mlp_digits_deep": ImageMLP(width=(64, 64), depth=(6, 6), activations=("tanh",), batch_size=64),
    "mlp_digits_wide": ImageMLP(width=(512, 512), depth=(2, 2), batch_size=64),
    "mlp_gratings": ImageMLP("gratings", batch_size=64),
    "mlp_iris": ImageMLP("iris", width=(16, 16), batch_size=16),
    "mlp_letters": ImageMLP("letters", batch_size=64),
    "mlp_photos": ImageMLP("photos", width=(256, 256), depth=(3, 3), batch_size=64),
    "mlp_small_photos": ImageMLP("small_photos", batch_size=64),
    "mlp_digits_times_30": Reparameterized(MLP, "global", 30.0, 30.0),
    "mlp_digits_over_30": Reparameterized(MLP, "global", 1 / 30, 1 / 30),
    "mlp_digits_rescaled": Reparameterized(MLP, "parameter", 0.1, 10.0),
    "mlp_digits_bfloat16": BFloat16(MLP),
    "mlp_digits_four_examples": ReducedBatch(MLP, 1 / 16, 1 / 16),
    "mlp_digits_label_noise": LabelNoise(MLP, 0.3, 0.3),
    "autoencoder_digits": AutoEncoder("digits"),
    "autoencoder_photos": AutoEncoder("photos", hidden_sizes=(512, 128), bottleneck=32),
    "vae_digits": VariationalAutoEncoder("digits"),
    "vae_letters": VariationalAutoEncoder("letters", hidden_sizes=(128, 64), latent_size=16),
    "conv_digits": ConvNet("digits"),
    "conv_digits_small": ConvNet("digits", channels=(8, 16), batch_size=16),
    "conv_letters": ConvNet("letters", channels=(32, 64)),
    "conv_photos": ConvNet("photos", channels=(32, 64, 128)),
    "resnet_digits": ResNet("digits"),
    "resnet_photos": ResNet("photos", channels=(32, 64, 128), num_blocks=2),
    "vit_digits": VisionTransformer("digits"),
    "vit_digits_small": VisionTransformer("digits", patch=4, num_channels=16, num_layers=1, batch_size=32),
    "vit_photos": VisionTransformer("photos", patch=4, num_channels=128, num_heads=4, num_layers=4),
    "mixer_digits": MLPMixer("digits"),
    "mixer_photos": MLPMixer("photos", num_channels=128, hidden_size=128, num_layers=4),
    "lstm_text": RNNLanguageModel(cell="lstm"),
    "lstm_text_large": RNNLanguageModel(cell="lstm", hidden_size=256, num_layers=2, length=64),
    "gru_text": RNNLanguageModel(cell="gru", hidden_size=128),
    "transformer_text": TransformerLanguageModel(),
    "transformer_text_1m": TransformerLanguageModel(num_channels=144, num_layers=4, length=64),
    "transformer_text_4m": TransformerLanguageModel(num_channels=256, num_layers=5, length=128),
    "train_adafac_mlp": RuleTraining(family=Quadratic(dimension=10), num_steps=20),
    "train_adafac_mlp_on_digits": RuleTraining(family=ImageMLP(width=(8, 8), batch_size=16), num_steps=10),
}
"""Fixed tasks by name. A fixed task is a family, most of them with a single problem in it, so that everything takes
families. They stay as they are: a changed task would get another name."""


def named_task(name: str) -> TaskFamily:
    """A fixed task by its name.

    Raises:
        ValueError: there is none of that name.

    >>> named_task("mlp_digits").batch_size
    64
    """
    if name not in NAMED_TASKS:
        raise ValueError(f"name must be one of {', '.join(NAMED_TASKS)}, got {name!r}")
    return NAMED_TASKS[name]
