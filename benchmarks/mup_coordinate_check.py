"""The coordinate check of muP: how far hidden pre-activations move in the first updates, at every width.

    python -m benchmarks.mup_coordinate_check

Five updates on 128 digits with an MLP 64-width-width-10 that is parametrised as muP asks (hidden weights of variance
1/fan_in, output weights 0 and divided by the width). Measured is the root mean square change of the pre-activations of
the second hidden layer, averaged over seeds, each of which draws the weights of the network and of the learned
optimizer. Under `MuP` it should not depend on the width. Writes `results/mup_coordinate_check/` and
`docs/figures/mup_coordinate_check.png`.
"""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from heurax.rules import AdafacMLP, Celo2, LearnedOptimizer, MLPOptimizer, MuP, OptaxOptimizer
from heurax.runs.provenance import environment
from heurax.tasks.datasets import digits

ROOT = Path(__file__).resolve().parents[1]
WIDTHS = (32, 64, 128, 256, 512)
NUM_UPDATES = 5
NUM_SEEDS = 8
CLASSES = {"layer_0/kernel": "input", "layer_1/kernel": "hidden", "layer_2/kernel": "output"}
RULES: dict[str, LearnedOptimizer] = {
    "AdafacMLP (32)": AdafacMLP(hidden_size=32, step_mult=0.01),
    "AdafacMLP (4)": AdafacMLP(step_mult=0.01),
    "MLPOptimizer": MLPOptimizer(step_mult=0.01),
    "Celo2 base": Celo2(orthogonalise=False, route_vectors=False, route_paths=""),
    "Adam": OptaxOptimizer("adam", learning_rate=1e-3),
}


def init_params(width: int, key: jax.Array) -> dict[str, Any]:
    """Hidden weights N(0, 1/fan_in); output weights and biases 0."""
    sizes = [(64, width), (width, width), (width, 10)]
    keys = jax.random.split(key, len(sizes))
    params = {}
    for layer, (shape, key_layer) in enumerate(zip(sizes, keys, strict=True)):
        kernel = jax.random.normal(key_layer, shape) / jnp.sqrt(shape[0]) if layer < 2 else jnp.zeros(shape)
        params[f"layer_{layer}"] = {"kernel": kernel, "bias": jnp.zeros(shape[1])}
    return params


def forward(params: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Pre-activations of the second hidden layer, and logits."""
    first, second, last = params.values()
    hidden = jax.nn.relu(x @ first["kernel"] + first["bias"][None]) @ second["kernel"] + second["bias"][None]
    return hidden, jax.nn.relu(hidden) @ last["kernel"] / last["kernel"].shape[0] + last["bias"][None]


def feature_change(rule: LearnedOptimizer, width: int, key: jax.Array) -> jax.Array:
    """Root mean square change of the pre-activations of the second hidden layer by the first updates."""
    key_theta, key_params = jax.random.split(key)
    x, labels = jnp.asarray(digits().inputs["train"][:128]), jnp.asarray(digits().labels["train"][:128])
    optimizer = rule.optimizer(rule.init(key_theta), num_steps=100)

    def loss_fn(params: Any) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(forward(params, x)[1], labels).mean()

    def step(carry: Any, _: Any) -> tuple[Any, None]:
        params, state = carry
        loss, gradient = jax.value_and_grad(loss_fn)(params)
        updates, state = optimizer.update(gradient, state, params, value=loss)
        return (optax.apply_updates(params, updates), state), None

    params = init_params(width, key_params)
    (trained, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), length=NUM_UPDATES)
    return jnp.sqrt(jnp.mean((forward(trained, x)[0] - forward(params, x)[0]) ** 2))


def coordinate_check(
    rule: LearnedOptimizer, widths: tuple[int, ...] = WIDTHS, num_seeds: int = NUM_SEEDS
) -> dict[str, list[float]]:
    """The change at every width, `plain` and `under_mup`."""
    keys = jax.random.split(jax.random.key(0), num_seeds)
    arms = {"plain": rule, "under_mup": MuP(rule, CLASSES)}
    changes: dict[str, list[float]] = {name: [] for name in arms}
    for width in widths:
        for name, arm in arms.items():
            run = jax.jit(lambda keys, arm=arm, width=width: jax.lax.map(lambda k: feature_change(arm, width, k), keys))
            changes[name].append(float(jnp.mean(run(keys))))
    return changes


def spread(changes: list[float]) -> float:
    """Largest over smallest."""
    return max(changes) / min(changes)


def figure(changes: dict[str, dict[str, list[float]]]) -> Figure:
    """Both arms side by side."""
    drawing = Figure(figsize=(8, 3.2), layout="constrained")
    panels = drawing.subplots(1, 2, sharey=True)
    for panel, (arm, title) in zip(panels, {"plain": "as it is", "under_mup": "under MuP"}.items(), strict=True):
        for rule, of_rule in changes.items():
            panel.loglog(WIDTHS, of_rule[arm], marker="o", label=rule)
        panel.set(title=title, xlabel="width")
        panel.set_xticks(WIDTHS, [str(width) for width in WIDTHS], minor=False)
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    panels[0].set_ylabel(f"change of hidden pre-activations\nafter {NUM_UPDATES} updates")
    panels[1].legend(frameon=False, fontsize="small")
    return drawing


def main() -> None:
    changes = {name: coordinate_check(rule) for name, rule in RULES.items()}
    table = Table(title=f"change of hidden pre-activations, widths {WIDTHS[0]} to {WIDTHS[-1]}", title_justify="left")
    for heading in ("rule", "largest / smallest", "under MuP"):
        table.add_column(heading, justify="left" if heading == "rule" else "right")
    for name, of_rule in changes.items():
        table.add_row(name, *(f"{spread(of_rule[arm]):.2f}" for arm in ("plain", "under_mup")))
    Console().print(table)

    results = ROOT / "results" / "mup_coordinate_check"
    results.mkdir(parents=True, exist_ok=True)
    record = {
        "command": "python -m benchmarks.mup_coordinate_check",
        "environment": environment(),
        "widths": WIDTHS,
        "num_updates": NUM_UPDATES,
        "num_seeds": NUM_SEEDS,
        "rules": {
            name: {arm: {"change": values, "spread": spread(values)} for arm, values in of_rule.items()}
            for name, of_rule in changes.items()
        },
    }
    (results / "mup_coordinate_check.json").write_text(json.dumps(record, indent=2) + "\n")
    figure(changes).savefig(ROOT / "docs" / "figures" / "mup_coordinate_check.png", dpi=150)


if __name__ == "__main__":
    main()
