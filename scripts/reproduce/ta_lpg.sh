#!/usr/bin/env bash
# Discovers temporally aware LPG by evolution, plain LPG by evolution with the same budget, and temporally aware LPG by
# meta-gradients; then judges them over horizons. Run again to go on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .venv/bin/python ] || bash scripts/setup.sh
runs=runs/reproduce/ta_lpg
plain=(--inner.rule LPG --inner.rule.hidden_size 32)
gradient=(--inner.critic.learning_rate 0.03 --outer.estimator TruncatedGradient --outer.estimator.num_tasks 32)
gradient+=(--outer.estimator.window 5 --outer.estimator.objective final --outer.optimizer.learning_rate 1.0e-3)
gradient+=(--outer.num_steps 3000 --steps_per_dispatch 20 --checkpoint_every 100)
short=()
if [ "${1:-}" = --short ]; then
    runs=runs/reproduce/ta_lpg-short
    short=(--inner.num_steps 10 --inner.shortest 5 --inner.num_envs 2 --inner.num_eval_episodes 2)
    short+=(--outer.num_steps 2 --outer.estimator.num_tasks 2 --steps_per_dispatch 1 --checkpoint_every 1)
fi
heurax=.venv/bin/heurax
"$heurax" train objectives/ta_lpg_small --run_dir "$runs/ta_evolution" "${short[@]}"
"$heurax" train objectives/ta_lpg_small --run_dir "$runs/plain_evolution" "${plain[@]}" "${short[@]}"
"$heurax" train objectives/ta_lpg_small --run_dir "$runs/ta_gradient" "${gradient[@]}" "${short[@]}"
.venv/bin/python -m scripts.reproduce.ta_lpg "$runs" "$@"
