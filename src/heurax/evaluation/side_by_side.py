"""One compiled program per task and optimizer: many trainings side by side, of any settings, seeds and horizon."""

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, Key

from heurax.evaluation.baselines import Baseline
from heurax.inner import SupervisedState, SupervisedTraining
from heurax.rules import LearnedOptimizer
from heurax.tasks import Split, TaskFamily

__all__ = ["Costs", "Problem", "SideBySide", "Start", "Trainings", "point_ends"]

EVALUATION_STREAM = 0x6576616C
"""Folded into the seed's key, so that evaluation never meets the random numbers of meta-training."""

SMOOTHING = 0.95
CAP = 2.0
"""Losses count as this many times the initial one at most."""

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Trainings(NamedTuple):
    """What trainings came to, one along the first axis of everything.

    Attributes:
        initial: loss at the beginning, over the training split's evaluation batch, `[n]`.
        final: loss at the end, over each split's, `[n]`.
        loss: mean of the batches' losses over each stretch, `[n, points]`.
        smoothed: their exponential average at the end of each stretch, `[n, points]`.
        diverged: whether the final training loss is capped, `[n]`.
    """

    initial: np.ndarray
    final: dict[str, np.ndarray]
    loss: np.ndarray
    smoothed: np.ndarray
    diverged: np.ndarray


class Costs(NamedTuple):
    """What a program costs.

    Attributes:
        num_parameters: of the task.
        flops_per_step: floating-point operations of an update with its loss and gradient, as XLA counts them.
        bytes_per_lifetime: that the program needs: arguments, results and temporaries, over its lanes.
        state_bytes_per_parameter: of the optimizer.
        compile_seconds: of the program.
    """

    num_parameters: int
    flops_per_step: float
    bytes_per_lifetime: float
    state_bytes_per_parameter: float
    compile_seconds: float


class Start(NamedTuple):
    """The beginning of trainings, one along the first axis of everything: task, parameters, memory of the task's."""

    task: Any
    params: Any
    memory: Any


@dataclass(frozen=True)
class Problem:
    """A task at numbered seeds: how trainings on it begin and are judged, whatever the optimizer.

    Args:
        family: the task.
        seed: of everything random; trainings have a number below it.
        lanes: trainings in one call, on all devices together; rounded up to a multiple of the devices.
        num_points: of a curve; >= 1.
    """

    family: TaskFamily
    seed: int
    lanes: int
    num_points: int

    @property
    def width(self) -> int:
        """Trainings in one call."""
        devices = jax.local_device_count()
        return -(-self.lanes // devices) * devices

    @functools.cached_property
    def begin(self) -> Callable[[Int[Array, " n"]], tuple[Start, Float[Array, " n"]]]:
        """Compiled: from numbers of seeds to beginnings and their losses on the training split.

        On one device, as `judge`: two virtual devices of a CPU that factorise matrices at once (a quadratic draws its
        axes so) wait for each other for ever.
        """

        def begin(number: Int[Array, ""]) -> tuple[Start, Float[Array, ""]]:
            key_task, key_params, key_memory = jax.random.split(self.keys(number)[0], 3)
            task = self.family.sample(key_task)
            params = self.family.init(task, key_params)
            start = Start(task, params, self.family.init_memory(task, params, key_memory))
            return start, self._loss(task, params, "train")

        return jax.jit(jax.vmap(begin))

    @functools.cached_property
    def judge(self) -> Callable[[Any, Any], dict[str, Float[Array, " n"]]]:
        """Compiled: from tasks and parameters to the loss on each split."""

        def judge(task: Any, params: Any) -> dict[str, Float[Array, ""]]:
            return {split: self._loss(task, params, split) for split in SPLITS}

        return jax.jit(jax.vmap(judge))

    def keys(self, number: Int[Array, ""]) -> tuple[Key[Array, ""], Key[Array, ""]]:
        """Keys of a training: of its beginning and of its steps."""
        stream = jax.random.fold_in(jax.random.key(self.seed), EVALUATION_STREAM)
        key_begin, key_steps = jax.random.split(jax.random.fold_in(stream, number))
        return key_begin, key_steps

    def _loss(self, task: Any, params: Any, split: Split) -> Float[Array, ""]:
        return self.family.loss(task, params, self.family.evaluation_batch(task, split))


@dataclass(frozen=True)
class SideBySide:
    """Trainings with one optimizer on one problem.

    Args:
        problem: what they are on.
        rule: the optimizer.
        rule_steps: the horizon that the rule is told; a `Baseline` and an `AtRate` do not ask.
    """

    problem: Problem
    rule: LearnedOptimizer
    rule_steps: int

    def run(self, settings: list[Any], numbers: list[int], num_steps: int) -> tuple[Trainings, float]:
        """Train with every setting at the seed of the same place.

        Args:
            settings: trees like the rule's `theta`.
            numbers: of seeds.
            num_steps: the horizon.

        Returns:
            What they came to, and seconds.
        """
        program, width, parts = self.compiled[0], self.problem.width, []
        started = time.monotonic()
        for first in range(0, len(settings), width):
            chosen = [min(first + lane, len(settings) - 1) for lane in range(width)]  # the last call is filled up
            theta = jax.tree.map(lambda *xs: np.stack(xs), *[settings[i] for i in chosen])
            seeds = np.array([numbers[i] for i in chosen], np.int32)
            start, initial = jax.device_get(self.problem.begin(jnp.asarray(seeds)))
            params, loss, smoothed = jax.device_get(program(theta, seeds, start, initial, np.int32(num_steps)))
            parts.append((initial, jax.device_get(self.problem.judge(start.task, params)), loss, smoothed))
        initial, final, loss, smoothed = jax.tree.map(lambda *xs: np.concatenate(xs)[: len(settings)], *parts)
        cap = CAP * initial
        final = {split: np.where(x < cap, x, cap) for split, x in final.items()}  # so do losses that are no numbers
        return Trainings(initial, final, loss, smoothed, final["train"] >= cap), time.monotonic() - started

    @functools.cached_property
    def compiled(self) -> tuple[jax.stages.Compiled, Costs]:
        """The program, and what it costs."""
        theta, one = jax.eval_shape(self.rule.init, jax.random.key(0)), jax.ShapeDtypeStruct((), jnp.int32)
        num_lanes = self.problem.width
        many = lambda tree: jax.tree.map(lambda x: jax.ShapeDtypeStruct((num_lanes, *x.shape), x.dtype), tree)  # noqa: E731
        start, initial = jax.eval_shape(self.problem.begin, many(one))
        started = time.monotonic()
        train = on_lanes(self._train, num_arguments=5, num_shared=1)
        compiled = train.lower(many(theta), many(one), start, initial, one).compile()
        seconds = time.monotonic() - started
        memory: Any = compiled.memory_analysis()  # of one device
        total = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
        return compiled, self._costs(theta, total * jax.local_device_count() / num_lanes, seconds)

    @property
    def _inner(self) -> SupervisedTraining:
        return SupervisedTraining(self.rule, self.problem.family, self.rule_steps, loss_cap=float("inf"))

    def _train(
        self, theta: Any, number: Int[Array, ""], start: Start, initial: Float[Array, ""], num_steps: Int[Array, ""]
    ) -> tuple[Any, Float[Array, " points"], Float[Array, " points"]]:
        """One training: parameters to be judged, the curve, and the smoothed one. One program serves all horizons."""
        inner, num_points = self._inner, self.problem.num_points
        state = SupervisedState(
            start.task, start.params, self.rule.optimizer(theta, self.rule_steps).init(start.params), start.memory
        )
        cap, key_steps = CAP * initial, self.problem.keys(number)[1]

        def step(i: Int[Array, ""], carry: Any) -> Any:
            state, average, sums, smoothed = carry
            state, result = inner.step(theta, state, jax.random.fold_in(key_steps, i))
            loss = jnp.where(result.loss < cap, result.loss, cap)
            average = SMOOTHING * average + (1 - SMOOTHING) * loss
            point = (i * num_points) // num_steps
            correction = 1 - SMOOTHING ** (i + 1).astype(jnp.float32)
            return state, average, sums.at[point].add(loss), smoothed.at[point].set(average / correction)

        zeros = jnp.zeros((num_points,), jnp.float32)
        carry = (state, jnp.zeros([], jnp.float32), zeros, zeros)
        state, _, sums, smoothed = jax.lax.fori_loop(0, num_steps, step, carry)
        params = state.params
        if isinstance(self.rule, Baseline) and self.rule.params_fn is not None:
            params = self.rule.params_fn(state.optimizer_state, params)
        counts = jnp.diff(point_ends(num_steps, num_points), prepend=0).astype(jnp.float32)
        return params, sums / counts, smoothed

    def _costs(self, theta: Any, bytes_per_lifetime: float, compile_seconds: float) -> Costs:
        key = jax.ShapeDtypeStruct((), jax.random.key(0).dtype)
        state = jax.eval_shape(self._inner.init, theta, key)
        analysis: Any = jax.jit(self._inner.step).lower(theta, state, key).cost_analysis()
        num_parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state.params))
        state_bytes = sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(state.optimizer_state))
        return Costs(
            num_parameters,
            float(analysis["flops"]),
            bytes_per_lifetime,
            state_bytes / num_parameters,
            compile_seconds,
        )


def on_lanes(function: Callable[..., Any], num_arguments: int, num_shared: int = 0) -> Any:
    """Jit a function, vmapped and spread over all devices along the first axis of its arguments.

    Args:
        function: written for one.
        num_arguments: of it.
        num_shared: how many of them, at the end, are the same for all.
    """
    mesh = jax.make_mesh((jax.local_device_count(),), ("lanes",), axis_types=(AxisType.Auto,))
    many, one = PartitionSpec("lanes"), PartitionSpec()
    specs = (many,) * (num_arguments - num_shared) + (one,) * num_shared
    vmapped = jax.vmap(function, tuple(0 if spec == many else None for spec in specs))
    spread = jax.shard_map(vmapped, mesh=mesh, in_specs=specs, out_specs=many, check_vma=False)
    return jax.jit(spread, in_shardings=tuple(NamedSharding(mesh, spec) for spec in specs))


def point_ends(num_steps: Any, num_points: int) -> Int[Array, " points"]:
    """Updates made by the end of each point's stretch.

    >>> point_ends(10, 4).tolist()
    [3, 5, 8, 10]
    """
    return -(-(jnp.arange(num_points, dtype=jnp.int32) + 1) * num_steps // num_points)
