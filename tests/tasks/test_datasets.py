"""Data sets: what ships with libraries, and files in the formats of MNIST and CIFAR, made here."""

import gzip
import string

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.errors import HeuraxError
from heurax.tasks import DATASETS, TEXTS, ConvNet, ImageFiles
from heurax.tasks.datasets import draw_indices
from heurax.tasks.datasets.image_files import _averaging
from heurax.tasks.datasets.text import ALPHABET, decode, encode


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_is_whole(name):
    data = DATASETS[name]()
    assert set(data.inputs) == set(data.labels) == {"train", "validation", "test"}
    for split, inputs in data.inputs.items():
        assert inputs.dtype == np.float32
        assert inputs.shape == (len(data.labels[split]), data.num_features)
        assert np.isfinite(inputs).all()
    assert set(np.unique(data.labels["train"])) == set(range(data.num_classes))
    if data.image_shape is not None:
        pixels = np.concatenate(list(data.inputs.values()))
        assert np.prod(data.image_shape) == data.num_features
        assert pixels.min() >= 0
        assert pixels.max() <= 1
        assert (pixels.std(axis=1) > 0).mean() > 0.99
    else:
        np.testing.assert_allclose(data.inputs["train"].mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(data.inputs["train"].std(axis=0), 1, atol=1e-4)


def test_the_text_is_english_about_python_and_its_splits_are_apart():
    data = TEXTS["python_topics"]()
    train, held_out = decode(data.tokens["train"]), decode(data.tokens["test"])
    assert len(train) > 200_000
    assert min(len(x) for x in data.tokens.values()) > 10_000
    for phrase in ("statement", "expression", "\n\n"):
        assert phrase in train
    assert held_out[1000:1200] not in train
    assert ALPHABET[1:] == "".join(c for c in map(chr, range(128)) if c in string.printable and c.isprintable())
    assert decode(encode("na\u00efve \u201cquotes\u201d \u03c0")) == 'naive "quotes" ?'


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.tobytes()


@pytest.fixture
def mnist(tmp_path):
    """Twenty training and four test images of 6x6, the latter gzipped."""
    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in {"train": 20, "t10k": 4}.items():
        images = generator.integers(0, 256, (count, 6, 6), np.uint8)
        labels = (np.arange(count) % 4).astype(np.uint8)
        for name, array in {f"{part}-images-idx3-ubyte": images, f"{part}-labels-idx1-ubyte": labels}.items():
            arrays[name] = array
            if part == "train":
                (tmp_path / name).write_bytes(idx(array))
            else:
                (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    return tmp_path, arrays


def test_idx_files(mnist):
    folder, arrays = mnist
    data = ImageFiles(str(folder)).load()
    assert data.image_shape == (6, 6, 1)
    assert data.num_classes == 4
    pixels = arrays["train-images-idx3-ubyte"].reshape(20, 36)
    np.testing.assert_array_equal(data.inputs["train"], pixels[:18])
    np.testing.assert_array_equal(data.inputs["validation"], pixels[18:])
    np.testing.assert_array_equal(data.inputs["test"], arrays["t10k-images-idx3-ubyte"].reshape(4, 36))
    np.testing.assert_array_equal(data.labels["test"], [0, 1, 2, 3])
    family = ConvNet(ImageFiles(str(folder)))
    np.testing.assert_allclose(family.evaluation_batch((), "train")[0], pixels[:18] / 255, rtol=1e-6)

    halves = ImageFiles(str(folder), size=3).load()
    means = pixels[:18].reshape(18, 3, 2, 3, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(halves.inputs["train"], means.reshape(18, 9), atol=0.51)


def test_pixels_across_an_edge_are_shared():
    weights = _averaging(3, 2)
    np.testing.assert_allclose(weights, [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], rtol=1e-6)


@pytest.mark.parametrize(("version", "num_labels"), [("cifar10", 1), ("cifar100", 2)])
def test_cifar_files(tmp_path, version, num_labels):
    """Red, green and blue planes of 32x32, after one label or two, of which the fine one counts."""
    generator = np.random.default_rng(0)
    records = generator.integers(0, 9, (3, num_labels + 3072), np.uint8)
    names = {"cifar10": [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"], "cifar100": ["train", "test"]}
    for name in names[version]:
        (tmp_path / f"{name}.bin").write_bytes(records.tobytes())
    data = ImageFiles(str(tmp_path), version).load()
    assert data.image_shape == (32, 32, 3)
    image = data.inputs["test"][1].reshape(32, 32, 3)
    assert image[5, 7, 2] == records[1, num_labels + 2 * 1024 + 5 * 32 + 7]
    np.testing.assert_array_equal(data.labels["test"], records[:, num_labels - 1])
    small = ImageFiles(str(tmp_path), version, size=8, grey=True).load()
    assert small.image_shape == (8, 8, 1)


def test_files_that_are_missing_or_damaged_are_refused_in_a_sentence(mnist):
    folder, _ = mnist
    with pytest.raises(
        HeuraxError, match=r"there is no data_batch_1.bin in .*; the binary version of cifar10 is wanted"
    ):
        ImageFiles(str(folder), "cifar10").load()
    path = folder / "train-images-idx3-ubyte"
    whole = path.read_bytes()
    damages = {
        "should hold 720 bytes after its header and holds 719; was it cut short": whole[:-1],
        "is not an IDX file of unsigned bytes": b"\0\0\x0d" + whole[3:],
        "is not an IDX file of": b"",
    }
    for message, content in damages.items():
        path.write_bytes(content)
        with pytest.raises(HeuraxError, match=message):
            ImageFiles(str(folder)).load()
    path.unlink()
    with pytest.raises(HeuraxError, match=r"there is no train-images-idx3-ubyte \(or train-images-idx3-ubyte.gz\) in"):
        ImageFiles(str(folder)).load()
    path.with_suffix(".gz").write_bytes(gzip.compress(whole)[:-9])
    with pytest.raises(HeuraxError, match=r"train-images-idx3-ubyte.gz cannot be read: "):
        ImageFiles(str(folder)).load()
    path.write_bytes(whole)
    with pytest.raises(HeuraxError, match="size must be at most that of the images, 6, got 8"):
        ImageFiles(str(folder), size=8).load()
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(HeuraxError, match=r"test images of shape .* do not go with labels of shape"):
        ImageFiles(str(folder)).load()
    (folder / "data_batch_1.bin").write_bytes(b"\0" * 3000)
    with pytest.raises(HeuraxError, match="does not hold whole records of 3,073 bytes"):
        ImageFiles(str(folder), "cifar10").load()


@pytest.mark.parametrize("num_examples", [1, 10, 1437, 65_536, 70_001, 2**31 - 1])
def test_indices_are_scaled_words(num_examples):
    key = jax.random.key(5)
    words = np.asarray(jax.random.bits(key, (1000,), jnp.uint32)).astype(np.uint64)
    expected = (words * np.uint64(num_examples)) >> np.uint64(32)
    np.testing.assert_array_equal(draw_indices(key, 1000, num_examples), expected)
