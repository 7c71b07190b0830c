"""google/learned_optimization beside heurax: whole outer steps of both, taken by turns in one run.

    pip install --no-deps --target .cache/peer learned-optimization==0.0.1 absl-py dm-haiku gin-config jmp tabulate
    python -m benchmarks.peer [--peer .cache/peer] [--rows 4] [--output results/peer]

The settings are those of `benchmarks.outer_throughput`, whose figures of the peer are of a commit of 2026. Here it is
its release on PyPI, of 2022, run as it stands on the JAX of heurax: names that JAX has since dropped are put back, and
TensorFlow, which it loads for data sets and for logging, is stood in for. Its data are the same digits from a NumPy
generator; its learner is the one it offers for a single machine; lifetimes are staggered over the horizon, as it asks
for, and a whole window is one program. `scalar` rows are its own faster way of computing AdafacMLP. The release knows
no VeLO.

Its seconds to compile are those of its first outer step less those of a later one, initialisation left out; ours are
those that tracing, lowering and compiling take.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import flax.training.checkpoints  # noqa: F401 # looks for TensorFlow when it is imported, so before that is stood in for
import jax
import jax.core
import numpy as np
from rich.progress import track

from benchmarks.common import CompiledRun, alternate, print_table, write_rows
from benchmarks.outer_throughput import REPEATS, SETTINGS, Setting
from heurax.inner import SupervisedTraining
from heurax.outer import Descent, PersistentES, TruncatedES, TruncatedGradient
from heurax.rules import AdafacMLP, MLPOptimizer, VeLO
from heurax.runs import split_cpu
from heurax.tasks.datasets import digits

HORIZON, BATCH_SIZE = 1000, 128


ROWS = tuple(
    (setting, scalar)
    for setting in SETTINGS
    if not isinstance(setting.rule, VeLO)
    for scalar in (
        (False, True) if isinstance(setting.rule, AdafacMLP) and setting.estimator is PersistentES else (False,)
    )
)
"""Each setting, and whether the peer computes it by its scalar path."""


def importer(folder: Path) -> Callable[[str], Any]:
    """What imports a module of the peer by its name, on the JAX that there is and without TensorFlow."""
    if not (folder / "learned_optimization").is_dir():
        sys.exit(f"{folder} has no learned_optimization; `python -m benchmarks.peer --help` says how to install it")
    dropped = {
        f"tree_{name}": getattr(jax.tree, name) for name in ("map", "leaves", "flatten", "unflatten", "structure")
    }
    for name, value in (dropped | {"tree_multimap": jax.tree.map, "ShapedArray": jax.core.ShapedArray}).items():
        setattr(jax, name, value)
    setattr(jax.lib, "xla_client", SimpleNamespace(Device=object))  # noqa: B010 # as above; it annotates, no more
    absent = ("tensorflow", "tensorflow.compat", "tensorflow.compat.v2", "tensorflow_datasets")
    for name in (*absent, "flax.metrics.tensorboard", "flax.training.prefetch_iterator"):
        sys.modules.setdefault(name, mock.MagicMock())
    sys.path.insert(0, str(folder))
    return lambda name: importlib.import_module(f"learned_optimization.{name}")


class Peer:
    """The peer's learners, on the digits."""

    def __init__(self, load: Callable[[str], Any]) -> None:
        batch = {"image": np.zeros((BATCH_SIZE, 64), np.float32), "label": np.zeros(BATCH_SIZE, np.int32)}
        data = load("tasks.datasets.base").Datasets(
            *map(batches, range(4)), extra_info={"num_classes": 10}, abstract_batch=batch
        )
        task = load("tasks.fixed.image_mlp")._MLPImageTask(data, [32])
        self._family = load("tasks.base").single_task_to_family(task)
        self._schedule = load("outer_trainers.truncation_schedule").ConstantTruncationSchedule(HORIZON)
        self._adafac_mlp = load("learned_optimizers.adafac_mlp_lopt").AdafacMLPLOpt
        self._mlp = load("learned_optimizers.mlp_lopt").MLPLOpt
        self._learner = load("outer_trainers.gradient_learner").SingleMachineGradientLearner
        self._adam = load("optimizers.base").Adam
        self._estimators = {
            PersistentES: (load("outer_trainers.truncated_pes").TruncatedPES, "trunc_length"),
            TruncatedES: (load("outer_trainers.truncated_es").TruncatedES, "unroll_length"),
            TruncatedGradient: (load("outer_trainers.truncated_grad").TruncatedGrad, "unroll_length"),
        }

    def learner(self, setting: Setting, scalar: bool) -> Any:
        """The peer's learner for a setting."""
        if isinstance(setting.rule, MLPOptimizer):
            rule = self._mlp()
        elif scalar:
            rule = self._adafac_mlp(concat_weights=False, split_weights=True)
        else:
            rule = self._adafac_mlp()
        estimator, window = self._estimators[setting.estimator]
        theirs = estimator(
            self._family,
            rule,
            self._schedule,
            setting.num_tasks,
            steps_per_jit=setting.window,
            random_initial_iteration_offset=HORIZON,
            **{window: setting.window},
        )
        return self._learner(rule, [theirs], self._adam(1e-3))


class PeerRun:
    """A learner of the peer, warm: each call makes `num_steps` outer steps."""

    def __init__(self, learner: Any, num_steps: int) -> None:
        self._learner, self._num_steps = learner, num_steps
        self._key = jax.random.PRNGKey(0)
        self._state = learner.init(self._key)
        jax.block_until_ready(self._state)
        first = self._step()
        self._step()
        self.compile_seconds = first - self._step()

    def __call__(self) -> float:
        """Seconds of one call."""
        return sum(self._step() for _ in range(self._num_steps))

    def _step(self) -> float:
        started = time.perf_counter()
        self._key, key = jax.random.split(self._key)
        self._state, loss, _ = self._learner.update(self._state, key)
        jax.block_until_ready((self._state, loss))
        return time.perf_counter() - started


def batches(seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Random batches of the training digits, as the peer takes them."""
    images, labels = digits().inputs["train"], digits().labels["train"].astype(np.int32)
    generator = np.random.default_rng(seed)
    while True:
        index = generator.integers(0, len(images), BATCH_SIZE)
        yield {"image": images[index], "label": labels[index]}


def measure(peer: Peer, setting: Setting, scalar: bool) -> dict[str, Any]:
    """One row."""
    jax.clear_caches()
    num_steps = 10 if setting.window == 10 else 2
    ours = CompiledRun(SupervisedTraining(setting.rule, num_steps=HORIZON), Descent(setting.build()), num_steps)
    theirs = PeerRun(peer.learner(setting, scalar), num_steps)
    seconds, their_seconds = alternate([ours, theirs], REPEATS)
    return {
        "estimator": setting.estimator.__name__,
        "rule": type(setting.rule).__name__,
        "path": "scalar" if scalar else "default",
        "size": f"{setting.num_tasks}x{setting.window}",
        "inner_steps_per_second": ours.inner_steps / seconds,
        "peer": ours.inner_steps / their_seconds,
        "times_peer": their_seconds / seconds,
        "compile_seconds": ours.compile_seconds,
        "peer_compile": theirs.compile_seconds,
        "share_of_peer_compile": ours.compile_seconds / theirs.compile_seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, default=Path(".cache/peer"), help="folder that the peer is installed in")
    parser.add_argument("--rows", type=int, default=len(ROWS), help="how many of the settings, from the first")
    parser.add_argument("--output", type=Path, help="folder for peer.json")
    options = parser.parse_args()
    split_cpu(None)
    jax.config.update("jax_enable_compilation_cache", False)  # compile times are measured

    peer = Peer(importer(options.peer))
    rows = [measure(peer, *row) for row in track(ROWS[: options.rows], "both", transient=True)]
    formats = {"estimator": "", "rule": "", "path": "", "size": "", "inner_steps_per_second": ",.0f", "peer": ",.0f"}
    formats |= {"times_peer": ".1f", "compile_seconds": ".1f", "peer_compile": ".1f", "share_of_peer_compile": ".0%"}
    print_table("digits MLP 64-32-10, batch 128, horizon 1,000", rows, formats)
    write_rows(options.output, "benchmarks.peer", rows)


if __name__ == "__main__":
    main()
