"""Augmentation of task families: wrappers that change how a problem looks to the optimizer, not what it is.

Three kinds. Some change the parameters' units or the precision (`Reparameterized`, `BFloat16`), some the training
batches (`ReducedBatch`, `LabelNoise`), some what an optimizer is shown as the gradient (`NormalizedGradient`,
`DelayedGradient`, `RandomDirectionGradient`, `ESGradient`). The last kind needs a place between loss and optimizer:
`TaskFamily.loss_and_gradient`, with a memory for what lasts from step to step (a queue of gradients, a key). Were it an
optax transformation, a task could not draw its own delay, and losses could not be asked for; were it the derivative of
`loss`, meta-gradients, which differentiate the loss truly, would be wrong.
"""

from heurax.tasks.augmentation.base import Augmentation, AugmentedTask
from heurax.tasks.augmentation.batches import LabelNoise, ReducedBatch
from heurax.tasks.augmentation.estimated_gradients import ESGradient, RandomDirectionGradient
from heurax.tasks.augmentation.gradients import DelayedGradient, NormalizedGradient
from heurax.tasks.augmentation.precision import BFloat16
from heurax.tasks.augmentation.reparameterized import Reparameterized

__all__ = [
    "Augmentation",
    "AugmentedTask",
    "BFloat16",
    "DelayedGradient",
    "ESGradient",
    "LabelNoise",
    "NormalizedGradient",
    "RandomDirectionGradient",
    "ReducedBatch",
    "Reparameterized",
]
