"""What a training step costs, counted from shapes: nothing is compiled or run."""

import math
from typing import Any, NamedTuple

import jax
from jax.extend import core

from heurax.tasks.base import TaskFamily

__all__ = ["TaskCost", "count_operations", "task_cost"]


class TaskCost(NamedTuple):
    """Size of a task, and work per training step.

    Attributes:
        num_parameters: inner parameters.
        num_operations: floating-point operations of the loss and of what the optimizer is shown as its gradient, in
            matrix products and convolutions; a multiplication and an addition are two.
    """

    num_parameters: int
    num_operations: int


def task_cost(family: TaskFamily) -> TaskCost:
    """The cost of a step on a task of a family, without the optimizer's.

    >>> from heurax.tasks import ImageMLP
    >>> task_cost(ImageMLP(batch_size=64))
    TaskCost(num_parameters=2410, num_operations=647168)
    """
    key = jax.ShapeDtypeStruct((), jax.random.key(0).dtype)
    task = jax.eval_shape(family.sample, key)
    params = jax.eval_shape(family.init, task, key)
    batch = jax.eval_shape(family.batch, task, key)
    memory = jax.eval_shape(family.init_memory, task, params, key)
    step = jax.make_jaxpr(family.loss_and_gradient)(task, params, batch, memory)
    return TaskCost(sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)), count_operations(step.jaxpr))


def count_operations(jaxpr: core.Jaxpr) -> int:
    """Floating-point operations of the matrix products and convolutions of a program.

    Loops count as often as they run, where that is known (`scan`), conditionals as their dearest branch.
    """
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = _shape(equation.invars[0])
            total += 2 * _size(equation) * math.prod(shape[axis] for axis in contracted)
        elif equation.primitive.name == "conv_general_dilated":
            kernel = _shape(equation.invars[1])
            outputs = equation.params["dimension_numbers"].rhs_spec[0]
            total += 2 * _size(equation) * math.prod(kernel) // kernel[outputs]
        else:
            inside = [count_operations(each) for value in equation.params.values() for each in _jaxprs(value)]
            times = equation.params["length"] if equation.primitive.name == "scan" else 1
            total += times * (max(inside, default=0) if equation.primitive.name == "cond" else sum(inside))
    return total


def _size(equation: Any) -> int:
    return math.prod(_shape(equation.outvars[0]))


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape


def _jaxprs(value: Any) -> list[core.Jaxpr]:
    """Programs in a parameter of an equation."""
    if isinstance(value, core.ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, core.Jaxpr):
        return [value]
    return [each for part in value for each in _jaxprs(part)] if isinstance(value, tuple | list) else []
