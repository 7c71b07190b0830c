#!/usr/bin/env bash
# Meta-trains two learned optimizers for reinforcement learning, Open by evolution over PPO and Optim4RL by meta-gradients
# through A2C, and judges them against a tuned Adam. Run again to go on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .venv/bin/python ] || bash scripts/setup.sh
runs=runs/reproduce/rl_optimizers
evolution=() gradient=()
if [ "${1:-}" = --short ]; then
    runs=runs/reproduce/rl_optimizers-short
    evolution=(--outer.num_steps 2 --outer.population_size 4 --inner.num_steps 3 --steps_per_dispatch 1)
    gradient=(--outer.num_steps 2 --outer.estimator.num_tasks 2 --outer.optimizer.warmup_steps 0 --inner.num_steps 4)
    gradient+=(--steps_per_dispatch 1)
fi
.venv/bin/heurax train learned_optimizers/open_small --run_dir "$runs/open" "${evolution[@]}"
.venv/bin/heurax train learned_optimizers/optim4rl_small --run_dir "$runs/optim4rl" "${gradient[@]}"
.venv/bin/python -m scripts.reproduce.rl_optimizers "$runs" "$@"
