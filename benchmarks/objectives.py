"""Meta-training RL objectives: meta-steps and environment steps per second, by meta-gradient and by evolution.

    python -m benchmarks.objectives [--output results/objectives_speed]

Reference configurations, those at which GROOVE's code was measured on a 2-core machine of the kind used here:

- LPG by meta-gradient: 8 agents in parallel, tabular, on grid worlds ("all"), 16 workers x 20 steps per update, 5 agent
  updates per meta-step and the rollout of the meta-loss: 15,360 environment steps per meta-step. (GROOVE plays 39,360,
  since it rolls out for its critic once more per update; 38,200 environment steps/s, 1.03 s per meta-step.)
- Temporally-aware LPG by evolution: population 8 over whole lifetimes of 250 updates, 16 workers x 20 steps: 640,000
  environment steps per generation (GROOVE: 43,100 environment steps/s, 17.1 s per generation of 736,000).

Calibration: the same agents trained by A2C, under the same outer loop, which tunes their learning rate.
"""

import argparse
from pathlib import Path

from rich.progress import track

from benchmarks.common import CompiledRun, alternate, print_table, write_rows
from heurax.envs import GridWorld
from heurax.inner import ActorTraining, Critic, TableTorso
from heurax.outer import Descent, Evolution, OuterLoop, TruncatedGradient
from heurax.rules import LPG, OptaxOptimizer, Rule, TemporallyAwareLPG
from heurax.runs import split_cpu

REPEATS = 3
NUM_AGENTS = 8
NUM_ENVS, NUM_ROLLOUT_STEPS = 16, 20
WINDOW = 5
LIFETIME = 250


def lifetimes(rule: Rule, num_steps: int, critic: Critic | None) -> ActorTraining:
    """Tabular agents on grid worlds."""
    env = GridWorld("all", observation="index")
    return ActorTraining(
        rule,
        env,
        num_steps=num_steps,
        num_envs=NUM_ENVS,
        num_rollout_steps=NUM_ROLLOUT_STEPS,
        torso=TableTorso(env.num_states),
        critic=critic,
    )


ADAM = OptaxOptimizer("adam", 1e-3, {"eps_root": 1e-16})
"""As a rule, it trains the agents by A2C."""


def by_meta_gradient(rule: Rule) -> tuple[ActorTraining, OuterLoop, int]:
    """The inner loop, the outer loop, and environment steps per meta-step."""
    estimator = TruncatedGradient(NUM_AGENTS, "final", window=WINDOW)
    steps = NUM_AGENTS * (WINDOW + 1) * NUM_ENVS * NUM_ROLLOUT_STEPS
    return lifetimes(rule, LIFETIME, Critic()), Descent(estimator), steps


def by_evolution(rule: Rule) -> tuple[ActorTraining, OuterLoop, int]:
    """Likewise, over whole lifetimes."""
    steps = NUM_AGENTS * LIFETIME * NUM_ENVS * NUM_ROLLOUT_STEPS
    return lifetimes(rule, LIFETIME, None), Evolution("Open_ES", NUM_AGENTS, objective="final"), steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="folder for objectives.json")
    options = parser.parse_args()
    split_cpu(None)

    rows = []
    settings = {
        ("LPG", "meta-gradient"): by_meta_gradient(LPG()),
        ("A2C", "meta-gradient"): by_meta_gradient(ADAM),
        ("TemporallyAwareLPG", "evolution"): by_evolution(TemporallyAwareLPG()),
        ("A2C", "evolution"): by_evolution(ADAM),
    }
    for (rule, method), (inner, outer, steps) in track(settings.items(), "objectives", transient=True):
        run = CompiledRun(inner, outer, num_steps=1)
        (seconds,) = alternate([run], REPEATS)
        rows.append(
            {
                "rule": rule,
                "method": method,
                "seconds_per_meta_step": seconds,
                "env_steps_per_meta_step": steps,
                "env_steps_per_second": steps / seconds,
                "compile_seconds": run.compile_seconds,
                "megabytes": run.bytes_per_device * run.mesh.size / 1e6,
            }
        )
    print_table(
        f"{NUM_AGENTS} tabular agents on grid worlds, {NUM_ENVS} workers x {NUM_ROLLOUT_STEPS} steps per update",
        rows,
        {"rule": "", "method": "", "seconds_per_meta_step": ".2f", "env_steps_per_meta_step": ","}
        | {"env_steps_per_second": ",.0f", "compile_seconds": ".1f", "megabytes": ",.0f"},
    )
    write_rows(options.output, "benchmarks.objectives", rows)


if __name__ == "__main__":
    main()
