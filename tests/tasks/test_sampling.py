"""Families of random static shape."""

import collections

import numpy as np
import pytest

from families import check_shapes
from heurax.tasks import (
    SAMPLERS,
    TASKS,
    AutoEncoder,
    ConvNet,
    Quadratic,
    ResNet,
    RNNLanguageModel,
    VisionTransformer,
    augment,
    sample_family,
)
from heurax.tasks.augmentation import Augmentation


@pytest.mark.parametrize("name", SAMPLERS)
def test_draws_of_every_kind_make_sense_and_follow_from_the_seed(name):
    first, again = (sample_family(np.random.default_rng(3), [name]) for _ in range(2))
    assert first == again
    many = [
        sample_family(generator, [name], augmentations=False) for generator in map(np.random.default_rng, range(30))
    ]
    assert {type(family).__name__ for family in many} == {name}
    assert len(set(many)) > 15
    check_shapes(many[0])


def test_all_kinds_are_drawn():
    kinds = {name for name, family in TASKS.items() if not issubclass(family, Augmentation)}
    assert set(SAMPLERS) == kinds - {"MixedImageMLP"}  # it draws for every task what is drawn here for a chunk
    generator = np.random.default_rng(0)
    assert {type(sample_family(generator, augmentations=False)).__name__ for _ in range(200)} == set(SAMPLERS)
    with pytest.raises(ValueError, match="families must be some of AutoEncoder, ConvNet"):
        sample_family(generator, ["Conv"])


def test_augmentations_are_drawn_as_often_as_said():
    generator, counts, num_draws = np.random.default_rng(0), collections.Counter(), 4000
    for _ in range(num_draws):
        family = augment(generator, ConvNet())
        while isinstance(family, Augmentation):
            counts[type(family).__name__] += 1
            family = family.family
    expected = {
        "Reparameterized": 5 / 7,
        "ReducedBatch": 0.2,
        "BFloat16": 0.2,
        "ESGradient": 0.08,
        "RandomDirectionGradient": 0.92 * 0.08,
        "NormalizedGradient": 0.05,
        "DelayedGradient": 0.05,
    }
    assert {name: count / num_draws for name, count in counts.items()} == pytest.approx(expected, abs=0.03)
    assert not any("ReducedBatch" in repr(augment(generator, Quadratic())) for _ in range(50))


@pytest.mark.parametrize(
    ("family", "fields", "message"),
    [
        (AutoEncoder, {"hidden_sizes": (8, 0)}, r"hidden_sizes must be one or more numbers >= 1, got \[8, 0\]"),
        (ConvNet, {"channels": ()}, r"channels must be one or more numbers >= 1, got \[\]"),
        (
            ConvNet,
            {"width_fraction": (0.5, 2.0)},
            r"width_fraction must be a range \(low, high\) with 0 < low <= high <= 1",
        ),
        (ResNet, {"num_blocks": 0}, "num_blocks must be >= 1, got 0"),
        (VisionTransformer, {"num_channels": 9}, "num_heads must divide num_channels, 9, got 2"),
        (RNNLanguageModel, {"text": "digits"}, "text must be one of python_topics, got 'digits'"),
    ],
)
def test_bad_fields(family, fields, message):
    with pytest.raises(ValueError, match=message):
        family(**fields)


def test_what_does_not_go_with_a_data_set_is_said():
    with pytest.raises(ValueError, match="patch must divide the images' sides, 8 and 8, got 3"):
        assert VisionTransformer(patch=3).module is None
    with pytest.raises(ValueError, match="dataset must be one of images for this family"):
        assert ConvNet("wine").example is None
