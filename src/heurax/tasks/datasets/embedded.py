"""Real data that needs no download: what scikit-learn ships."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from heurax.tasks.datasets.data import ClassificationData, split_examples

__all__ = ["breast_cancer", "digits", "iris", "photos", "small_photos", "wine"]


@functools.cache
def digits() -> ClassificationData:
    """The 1,797 handwritten digits that scikit-learn ships: 8x8 grey images in [0, 1].

    Split by a fixed permutation into 1,297 training, 250 validation and 250 test images.

    Source: E. Alpaydin and C. Kaynak 1998, UCI "Optical Recognition of Handwritten Digits" (its test part).
    """
    from sklearn.datasets import load_digits  # slow to import, and needed only where data is

    bunch: Any = load_digits()
    return split_examples((bunch.data / 16).astype(np.float32), bunch.target, 250, (8, 8, 1))


@functools.cache
def iris() -> ClassificationData:
    """150 flowers by 4 lengths, 3 species; standardised. R. A. Fisher 1936. 110, 20 and 20 examples."""
    from sklearn.datasets import load_iris

    return _table(load_iris, 20)


@functools.cache
def wine() -> ClassificationData:
    """178 wines by 13 analyses, 3 cultivars; standardised. UCI "Wine", M. Forina 1991. 118, 30 and 30 examples."""
    from sklearn.datasets import load_wine

    return _table(load_wine, 30)


@functools.cache
def breast_cancer() -> ClassificationData:
    """569 tumours by 30 measures of their cells, malignant or benign; standardised.

    UCI "Breast Cancer Wisconsin (Diagnostic)", W. H. Wolberg et al. 1995. 369, 100 and 100 examples.
    """
    from sklearn.datasets import load_breast_cancer

    return _table(load_breast_cancer, 100)


def _table(load: Callable[[], Any], num_held_out: int) -> ClassificationData:
    """Features standardised by the mean and standard deviation of the training examples."""
    bunch = load()
    data = split_examples(bunch.data, bunch.target, num_held_out)
    mean, deviation = data.inputs["train"].mean(axis=0), data.inputs["train"].std(axis=0)
    inputs = {split: ((x - mean) / deviation).astype(np.float32) for split, x in data.inputs.items()}
    return data._replace(inputs=inputs)


@functools.cache
def photos() -> ClassificationData:
    """4,000 colour patches, 16x16 in [0, 1], of the two photographs that scikit-learn ships; how was each turned?

    Labels are quarter turns, 0 to 3, drawn uniformly, as are the places: in the left half of a photograph for training
    (3,200 patches), in the right half for validation and test (400 each). What is up has to be told from light, edges
    and texture (Gidaris et al. 2018, arXiv:1803.07728).
    """
    return _turned_patches(side=16, shrink=1, grey=False)


@functools.cache
def small_photos() -> ClassificationData:
    """As `photos`, from the photographs at half their size, grey, 8x8."""
    return _turned_patches(side=8, shrink=2, grey=True)


def _turned_patches(side: int, shrink: int, grey: bool) -> ClassificationData:
    from sklearn.datasets import load_sample_images

    bunch: Any = load_sample_images()
    generator = np.random.default_rng(0)
    counts = {"train": 3200, "validation": 400, "test": 400}
    inputs, labels = {}, {}
    pictures = [_shrink(np.asarray(image, np.float32) / 255, shrink) for image in bunch.images]
    if grey:
        pictures = [image.mean(axis=2, keepdims=True) for image in pictures]
    for split, count in counts.items():
        half = pictures[0].shape[1] // 2
        columns = slice(0, half) if split == "train" else slice(half, None)
        patches, turns = [], generator.integers(0, 4, count)
        for turn in turns:
            image = pictures[generator.integers(len(pictures))][:, columns]
            row, column = (generator.integers(0, size - side + 1) for size in image.shape[:2])
            patches.append(np.rot90(image[row : row + side, column : column + side], turn).ravel())
        inputs[split], labels[split] = np.stack(patches).astype(np.float32), turns.astype(np.int32)
    return ClassificationData(inputs, labels, 4, (side, side, 1 if grey else 3))


def _shrink(image: np.ndarray, factor: int) -> np.ndarray:
    """Means over squares of `factor` by `factor` pixels."""
    height, width = (size // factor for size in image.shape[:2])
    cut = image[: height * factor, : width * factor]
    return cut.reshape(height, factor, width, factor, -1).mean(axis=(1, 3))
