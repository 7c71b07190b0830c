"""Fixed tasks, what they cost, and data from files in a config."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from heurax.config import read_config
from heurax.evaluation import EvaluationConfig
from heurax.tasks import NAMED_TASKS, ConvNet, ImageFiles, ImageMLP, RuleTraining, named_task, task_cost
from heurax.tasks.cost import count_operations


def test_operations_are_counted_as_by_hand():
    """Of a perceptron of 64-32-10 on 64 images, forward, and backward without the gradient of its inputs."""
    forward = 2 * 64 * (64 * 32 + 32 * 10)
    backward = forward + 2 * 64 * 32 * 10
    cost = task_cost(ImageMLP(batch_size=64))
    assert cost == (64 * 32 + 32 + 32 * 10 + 10, forward + backward)

    def loop(x, kernel):
        products = jax.lax.scan(lambda x, _: (x @ x, None), x, None, length=7)[0]
        chosen = jax.lax.cond(x[0, 0] > 0, lambda x: x @ x @ x, lambda x: x, products)
        image = jnp.zeros((2, 8, 8, 3))
        dimensions = ("NHWC", "HWIO", "NHWC")
        return chosen, jax.lax.conv_general_dilated(image, kernel, (2, 2), "SAME", dimension_numbers=dimensions)

    program = jax.make_jaxpr(loop)(jnp.zeros((5, 5)), jnp.zeros((3, 3, 3, 4)))
    assert count_operations(program.jaxpr) == 9 * 2 * 5**3 + 2 * (2 * 4 * 4 * 4) * 27


def test_there_are_enough_and_of_all_sizes():
    assert len(NAMED_TASKS) >= 30
    names = ["mlp_digits", "transformer_text_1m", "transformer_text_4m", "conv_digits"]
    small, million, four, conv = (task_cost(named_task(name)) for name in names)
    assert small.num_parameters < 3_000
    assert 0.9e6 < million.num_parameters < 1.2e6
    assert 3e6 < four.num_parameters < 5e6
    assert four.num_operations > million.num_operations > conv.num_operations > small.num_operations
    with pytest.raises(ValueError, match=r"name must be one of quadratic, .*, got 'mnist'"):
        named_task("mnist")


def test_a_runs_cost_is_that_of_all_its_steps():
    short, long = (task_cost(RuleTraining(num_steps=n)).num_operations for n in (5, 10))
    assert long == pytest.approx(2 * short, rel=0.1)


def test_data_is_loaded_late():
    """What loads it takes longer to import than JAX, and other commands start without."""
    code = "import sys, heurax.runs, heurax.cli; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_config_may_take_its_images_from_files(tmp_path):
    path = tmp_path / "evaluation.yaml"
    path.write_text(
        "baselines: [{name: sgd}]\n"
        "task:\n  class_path: ConvNet\n  init_args:\n    channels: [4]\n    batch_size: 16\n"
        "    dataset: {class_path: ImageFiles, init_args: {folder: data/cifar, format: cifar10, size: 8, grey: true}}\n"
    )
    config, text = read_config(EvaluationConfig, path)
    assert config.task == ConvNet(ImageFiles("data/cifar", "cifar10", 8, True), channels=(4,), batch_size=16)
    path.write_text(text)
    assert read_config(EvaluationConfig, path)[0] == config
