"""What streams bring to a run: a chunk ahead, exactly resumable, and nothing while a program runs."""

import dataclasses

import jax
import numpy as np
import pytest

from heurax.inner import SupervisedTraining
from heurax.outer import Descent, Family, Mixture, OuterOptimizer, PersistentES
from heurax.rules import LearnableSGD
from heurax.runs import OuterProgram, tasks_mesh
from heurax.runs.checkpoints import Checkpoints
from heurax.runs.feed import Feed
from heurax.tasks import NumpyFiles, SoftmaxRegression, Stream

SGD = OuterOptimizer("sgd", 1e-2, warmup_steps=0, schedule="constant")
ESTIMATOR = PersistentES(4, window=2)


@pytest.fixture
def inner(tmp_path):
    generator = np.random.default_rng(0)
    np.save(tmp_path / "train_inputs.npy", generator.normal(size=(60, 3)).astype(np.float32))
    np.save(tmp_path / "train_labels.npy", generator.integers(0, 2, 60))
    family = SoftmaxRegression(Stream(NumpyFiles(str(tmp_path)), chunk_size=8), batch_size=4)
    return SupervisedTraining(LearnableSGD(), family, num_steps=4)


def test_the_next_chunks_follow_from_the_place(inner):
    streams = (inner.task.dataset, dataclasses.replace(inner.task.dataset, seed=1))
    mesh = tasks_mesh(4)
    with Feed(streams, mesh) as feed:
        for _ in range(9):
            feed.take()
        place = feed.place
        expected = [feed.take() for _ in range(3)]
    with Feed(streams, mesh, place) as feed:
        for chunks in expected:
            jax.tree.map(np.testing.assert_array_equal, chunks, feed.take())
    assert not np.array_equal(expected[0][0].inputs, expected[0][1].inputs)


@pytest.mark.usefixtures("quick_compilation")
@pytest.mark.parametrize("kind", ["Descent", "Mixture"])
def test_a_run_goes_on_with_the_same_examples(kind, inner, tmp_path):
    """Through a checkpoint, on four devices; nothing is copied to them while the program runs."""
    outer = Descent(ESTIMATOR, SGD, num_steps=20)
    if kind == "Mixture":
        outer = Mixture((Family("streamed", inner),), estimator=ESTIMATOR, optimizer=SGD, num_steps=20)
    start = inner if kind == "Descent" else dataclasses.replace(inner, task=SoftmaxRegression("iris"))
    program = OuterProgram(start, outer, tasks_mesh(4), num_steps=2)
    advance = program.compile()
    assert program.streams == (inner.task.dataset,)

    def go_on(state, feed, times):
        for _ in range(times):
            chunks = feed.take()
            with jax.transfer_guard_host_to_device("disallow"):
                state, metrics = advance(state, chunks)
        return state, metrics

    with Feed(program.streams, program.mesh) as feed, Checkpoints(tmp_path / "checkpoints", keep=2) as checkpoints:
        state, _ = go_on(program.init(0), feed, 3)
        checkpoints.save(6, state, feed.place)
        end, metrics = go_on(state, feed, 2)
        restored, place = checkpoints.restore(6, program.abstract_state()), checkpoints.feed_place(6)
    with Feed(program.streams, program.mesh, place) as feed:
        again, same = go_on(restored, feed, 2)
    jax.tree.map(np.testing.assert_array_equal, (end.theta, metrics), (again.theta, same))
    with Feed(program.streams, program.mesh) as feed:  # from the beginning of the stream: other examples
        other, _ = go_on(checkpointed(program, tmp_path), feed, 2)
    assert not np.array_equal(jax.tree.leaves(end.theta), jax.tree.leaves(other.theta))


def checkpointed(program, tmp_path):
    with Checkpoints(tmp_path / "checkpoints", keep=2) as checkpoints:
        return checkpoints.restore(6, program.abstract_state())


def test_a_run_without_streams_has_no_place(tmp_path):
    with Feed((), tasks_mesh(1)) as feed, Checkpoints(tmp_path, keep=1) as checkpoints:
        assert feed.take() == ()
        checkpoints.save(1, {"x": np.ones(3)}, feed.place)
        assert checkpoints.feed_place(1) is None
