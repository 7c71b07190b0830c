"""Data in files: the same examples from every format, streams that go on where they were, bad input in one sentence."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from heurax.config import read_config
from heurax.errors import HeuraxError
from heurax.evaluation import EvaluationConfig
from heurax.tasks import (
    DATA_SOURCES,
    HuggingFaceData,
    ImageFolder,
    ImageMLP,
    NumpyFiles,
    RecordFiles,
    Reparameterized,
    Stream,
    write_records,
)
from heurax.tasks.datasets.stream import Chunk, read_chunks, streams_in, with_chunks

NUM = 40
LABELS = np.arange(NUM) % 4
IMAGES = np.random.default_rng(0).integers(0, 256, (NUM, 3, 5, 3), np.uint8)
SPLITS = {"train": np.arange(NUM) % 10 < 8, "validation": np.arange(NUM) % 10 == 8, "test": np.arange(NUM) % 10 == 9}
ORDER = {"ImageFolder": np.argsort(LABELS, kind="stable")}  # by class; others as they were written


def numpy_files(folder):
    np.save(folder / "train_inputs.npy", IMAGES)
    np.save(folder / "train_labels.npy", LABELS)
    return NumpyFiles(str(folder))


def record_files(folder):
    write_records(folder / "train-0.array_record", IMAGES[:25], LABELS[:25])
    write_records(folder / "train-1.array_record", IMAGES[25:], LABELS[25:])
    return RecordFiles(str(folder), num_classes=4)


def image_folder(folder, images=IMAGES):
    for index, (image, label) in enumerate(zip(images, LABELS, strict=True)):
        (folder / f"class_{label}").mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"class_{label}" / f"{index:03}.png")
    return ImageFolder(str(folder))


def hugging_face(folder):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=4)})
    images = [Image.fromarray(image) for image in IMAGES]
    table = datasets.Dataset.from_dict({"image": images, "label": LABELS.tolist()}, features=features)
    datasets.DatasetDict({"train": table}).save_to_disk(str(folder / "saved"))
    return HuggingFaceData(str(folder / "saved"))


FORMATS = {
    "HuggingFaceData": hugging_face,
    "ImageFolder": image_folder,
    "NumpyFiles": numpy_files,
    "RecordFiles": record_files,
}


def test_every_source_is_here():
    assert {*FORMATS, "ImageFiles", "Stream"} == set(DATA_SOURCES)  # ImageFiles: test_datasets.py


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_holds_the_same_examples(name, tmp_path):
    """As a data set, and as a stream: every training example once in each pass, in another order."""
    source = FORMATS[name](tmp_path)
    data = source.load()
    order = ORDER.get(name, np.arange(NUM))
    for split, chosen in SPLITS.items():
        np.testing.assert_array_equal(data.inputs[split], IMAGES[order][chosen].reshape(-1, 45))
        np.testing.assert_array_equal(data.labels[split], LABELS[order][chosen])
    assert (data.num_classes, data.image_shape) == (4, (3, 5, 3))
    assert (data.inputs["train"].dtype, data.labels["train"].dtype) == (np.uint8, np.int32)

    chunks = read_chunks(Stream(source, chunk_size=16))
    passes = [np.concatenate([next(chunks).inputs for _ in range(2)]) for _ in range(2)]
    for examples in passes:
        np.testing.assert_array_equal(np.unique(examples, axis=0), np.unique(data.inputs["train"], axis=0))
    assert not np.array_equal(*passes)


def test_a_stream_goes_on_where_it_was(tmp_path):
    stream = Stream(numpy_files(tmp_path), chunk_size=7, seed=3)
    chunks = read_chunks(stream)
    for _ in range(3):
        next(chunks)
    place = chunks.get_state()
    expected = [next(chunks) for _ in range(6)]
    resumed = read_chunks(stream)
    resumed.set_state(place)
    for chunk in expected:
        jax.tree.map(np.testing.assert_array_equal, chunk, next(resumed))


def test_a_family_draws_from_the_chunk_that_is_on_the_device(tmp_path):
    stream = Stream(numpy_files(tmp_path), chunk_size=8)
    family = Reparameterized(ImageMLP(stream, batch_size=64))
    assert streams_in(((family, 1.0), family)) == (stream,)
    chunk = Chunk(jnp.full((8, 45), 255, jnp.uint8), jnp.full((8,), 2, jnp.int32))
    task = family.sample(jax.random.key(0))

    @jax.jit
    def draw(chunk):
        ours = with_chunks(family, {stream: chunk})
        return ours.batch(task, jax.random.key(1)), ours.evaluation_batch(task, "validation")

    (inputs, labels), (held_out, _) = draw(chunk)
    assert np.unique(inputs) == 1
    assert np.unique(labels) == 2
    np.testing.assert_allclose(held_out, IMAGES[SPLITS["validation"]].reshape(-1, 45) / 255, rtol=1e-6)
    first = next(read_chunks(stream))  # what it is outside of runs
    _, labels = family.batch(task, jax.random.key(1))
    assert set(labels.tolist()) <= set(first.labels.tolist())


def test_images_are_resized_and_greyed(tmp_path):
    source = image_folder(tmp_path)
    shape = ImageFolder(source.folder, size=2, grey=True).load().image_shape
    assert shape == (2, 2, 1)


def test_a_stream_is_a_few_lines_of_a_config(tmp_path):
    path = tmp_path / "evaluation.yaml"
    path.write_text(
        "baselines: [{name: sgd}]\n"
        "task:\n  class_path: ImageMLP\n  init_args:\n    dataset:\n      class_path: Stream\n      init_args:\n"
        "        source: {class_path: ImageFolder, init_args: {folder: data/flowers, size: 8}}\n"
        "        chunk_size: 64\n"
    )
    config, text = read_config(EvaluationConfig, path)
    assert config.task == ImageMLP(Stream(ImageFolder("data/flowers", size=8), chunk_size=64))
    path.write_text(text)
    assert read_config(EvaluationConfig, path)[0] == config


def odd_sizes(folder):
    images = [*IMAGES[:-1], np.zeros((4, 4, 3), np.uint8)]
    return image_folder(folder, images)


def damaged_image(folder):
    source = image_folder(folder)
    (folder / "class_3" / "999.png").write_bytes(b"no image")
    return source


def damaged_record(folder):
    from array_record.python.array_record_module import ArrayRecordWriter

    write_records(folder / "train-0.array_record", IMAGES[:20], LABELS[:20])
    writer = ArrayRecordWriter(str(folder / "train-1.array_record"), "group_size:1")
    writer.write(b"no record of ours")
    writer.close()
    return RecordFiles(str(folder), 4)


def no_records(folder):
    (folder / "train.array_record").write_bytes(b"no records")
    return RecordFiles(str(folder), 4)


def wrong_lengths(folder):
    source = numpy_files(folder)
    np.save(folder / "train_labels.npy", LABELS[:10])
    return source


def objects(folder):
    source = numpy_files(folder)
    np.save(folder / "train_inputs.npy", np.array([{}] * NUM), allow_pickle=True)
    return source


def doubles(folder):
    source = numpy_files(folder)
    np.save(folder / "train_inputs.npy", IMAGES.astype(np.float64))
    return source


def other_labels(folder):
    return RecordFiles(record_files(folder).folder, num_classes=3)


def empty(folder):
    (folder / "roses").mkdir()
    return ImageFolder(str(folder))


def few(folder):
    np.save(folder / "train_inputs.npy", IMAGES[:5])
    np.save(folder / "train_labels.npy", LABELS[:5])
    return NumpyFiles(str(folder))


def other_column(folder):
    return HuggingFaceData(hugging_face(folder).path, inputs="pixels")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: ImageFolder(str(folder / "none")), "there is no folder .*none"),
        (empty, "has no images: CLASS/NAME.png"),
        (odd_sizes, r"039.png has shape \[4, 4, 3\], and others \[3, 5, 3\]"),
        (damaged_image, "999.png cannot be read as an image"),
        (lambda folder: RecordFiles(str(folder), 4), "there is no train\\*.array_record in"),
        (no_records, "train.array_record cannot be read"),
        (damaged_record, "train record 20 is damaged, or was not made by write_records"),
        (other_labels, "train record 3 has the label 3, which is not in 0 to 2"),
        (lambda folder: NumpyFiles(str(folder)), "train_inputs.npy cannot be read: there is no such file"),
        (wrong_lengths, r"train inputs uint8 \[40, 3, 5, 3\] do not go with labels int64 \[10\]"),
        (objects, "train_inputs.npy cannot be read: .*Python objects in dtype"),
        (doubles, "train example 0 has dtype float64; wanted are float32 and uint8"),
        (few, "has no validation examples; ten training examples are enough"),
        (other_column, "has no column 'pixels'; it has image, label"),
        (lambda folder: HuggingFaceData(str(folder)), "cannot be opened: "),
    ],
)
def test_bad_input_is_one_sentence(make, message, tmp_path):
    with pytest.raises(HeuraxError, match=message) as raised:
        make(tmp_path).load()
    assert "\n" not in str(raised.value)


def test_a_stream_passes_the_sentence_on(tmp_path):
    stream = Stream(damaged_record(tmp_path), chunk_size=16)
    with pytest.raises(HeuraxError, match="train record 20 is damaged"):
        next(read_chunks(stream))


def test_a_missing_extra_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(HeuraxError, match=r"pip install 'heurax\[datasets\]'"):
        HuggingFaceData(str(tmp_path)).load()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stream(NumpyFiles("x"), chunk_size=0), "chunk_size must be >= 1, got 0"),
        (lambda: RecordFiles("x", 0), "num_classes must be >= 1, got 0"),
        (lambda: ImageFolder("x", size=0), "size must be >= 1, got 0"),
        (lambda: HuggingFaceData("x", size=0), "size must be >= 1, got 0"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
