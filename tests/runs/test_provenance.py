"""What a run directory tells of how it was made; profiles; signals."""

import gzip
import hashlib
import json
import os
import signal

import jax
import numpy as np
import pytest
from sklearn import datasets as sklearn_datasets

from heurax.config import read_config
from heurax.inner import SupervisedTraining
from heurax.runs import TrainConfig, train
from heurax.runs.fingerprints import data_fingerprints
from heurax.runs.provenance import write_provenance
from heurax.runs.signals import stop_on_signals
from heurax.tasks import DATASETS, ImageMLP, Quadratic, RNNLanguageModel


def test_fingerprints_are_of_the_data():
    """By hashlib over the digits of scikit-learn, split as documented, and by change of one byte."""
    found = data_fingerprints(TrainConfig(inner=SupervisedTraining(task=ImageMLP())))
    assert list(found) == ["digits"]
    digits = sklearn_datasets.load_digits()
    order = np.random.default_rng(0).permutation(1797)
    data = DATASETS["digits"]()
    sizes = [len(data.labels[split]) for split in ("train", "validation", "test")]
    bounds = np.cumsum([0, *sizes])
    digest = hashlib.sha256()
    for split in ("test", "train", "validation"):
        i = ("train", "validation", "test").index(split)
        index = order[bounds[i] : bounds[i + 1]]
        np.testing.assert_array_equal(data.labels[split], digits.target[index])
        for array in (data.inputs[split], digits.target[index].astype(np.int32)):
            digest.update(f"{array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
    assert found["digits"] == digest.hexdigest()
    assert data_fingerprints(ImageMLP(dataset="letters"))["letters"] != found["digits"]
    assert list(data_fingerprints(RNNLanguageModel())) == ["python_topics"]
    assert data_fingerprints(Quadratic()) == {}


def test_provenance_of_every_start(tmp_path):
    config = TrainConfig(seed=7)
    write_provenance(tmp_path, config)
    write_provenance(tmp_path, config)
    starts = json.loads((tmp_path / "provenance.json").read_text())["starts"]
    assert len(starts) == 2
    assert starts[0]["seed"] == 7
    assert starts[0]["packages"]["jax"] == starts[0]["environment"]["packages"]["jax"]
    assert len(starts[0]["packages"]) > 50
    assert starts[0]["environment"]["device"] == "cpu"
    assert starts[0]["command"]
    assert list(starts[0]["data"]) == ["digits"]
    dirty = (starts[0]["environment"]["code_version"] or "").endswith("-dirty")
    assert (tmp_path / "uncommitted.diff").exists() == dirty


@pytest.mark.slow
def test_a_profile_changes_nothing_and_opens(config_path, tmp_path):
    """The trace is Chrome's JSON, which Perfetto reads, and beside it the protocol buffer that TensorBoard reads."""
    config, text = read_config(TrainConfig, config_path, ["--outer.num_steps", "40", "--tensorboard", "false"])
    with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats
        train(config, tmp_path / "plain", text)
        train(config, tmp_path / "profiled", text, profile=True)
    theta = [(tmp_path / run / "artifact" / "theta.safetensors").read_bytes() for run in ("plain", "profiled")]
    assert theta[0] == theta[1]
    [trace] = (tmp_path / "profiled" / "profile").glob("plugins/profile/*/perfetto_trace.json.gz")
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    assert any(event.get("dur", 0) > 0 for event in events)
    [planes] = trace.parent.glob("*.xplane.pb")
    from jax.profiler import ProfileData

    names = [plane.name for plane in ProfileData.from_file(str(planes)).planes]
    assert any("CPU" in name for name in names)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2], ids=lambda s: s.name
)
def test_what_schedulers_send_asks_for_a_stop(number):
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        assert not stop
        os.kill(os.getpid(), number)
        assert stop.signal == number
        assert signal.getsignal(number) == before, "the same one again has its usual effect"
        other = signal.SIGUSR2 if number != signal.SIGUSR2 else signal.SIGTERM
        os.kill(os.getpid(), other)
        assert stop.signal == number, "the first one counts"
    assert signal.getsignal(other) == signal.SIG_DFL
