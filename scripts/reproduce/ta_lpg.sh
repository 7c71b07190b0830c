#!/usr/bin/env bash
# Discovers temporally aware LPG by evolution, plain LPG by evolution with the same budget, and temporally aware LPG by
# meta-gradients, all from one LPG that meta-gradients have found; then judges them over horizons. Run again to go on
# where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .venv/bin/python ] || bash scripts/setup.sh
runs=runs/reproduce/ta_lpg
gradient=(--inner.shortest 10 --inner.critic.learning_rate 0.03 --outer Descent --outer.estimator TruncatedGradient)
gradient+=(--outer.estimator.num_tasks 32 --outer.estimator.window 5 --outer.estimator.objective final)
gradient+=(--outer.optimizer.learning_rate 1.0e-3 --outer.num_steps 800 --steps_per_dispatch 20 --checkpoint_every 100)
start=(--outer.num_steps 800) evolution=()
if [ "${1:-}" = --short ]; then
    runs=runs/reproduce/ta_lpg-short
    start=(--outer.num_steps 2 --outer.estimator.num_tasks 2 --outer.optimizer.warmup_steps 0 --inner.num_steps 10)
    start+=(--steps_per_dispatch 1 --checkpoint_every 1)
    evolution=(--outer.num_steps 3 --outer.estimator.num_tasks 2 --checkpoint_every 3)
    gradient+=(--outer.num_steps 2 --outer.estimator.num_tasks 2 --steps_per_dispatch 1 --checkpoint_every 1)
fi
heurax=.venv/bin/heurax
"$heurax" train objectives/lpg_small --inner.rule.hidden_size 16 --run_dir "$runs/start" "${start[@]}"
.venv/bin/python -m scripts.reproduce.ta_lpg_start "$runs/start" "$runs/start_ta"
plain=(--inner.rule PretrainedObjective --inner.rule.artifact "$runs/start")
temporal=(--inner.rule PretrainedObjective --inner.rule.artifact "$runs/start_ta")
"$heurax" train objectives/ta_lpg_small --run_dir "$runs/ta_evolution" "${temporal[@]}" "${evolution[@]}"
"$heurax" train objectives/ta_lpg_small --run_dir "$runs/plain_evolution" "${plain[@]}" "${evolution[@]}"
"$heurax" train objectives/ta_lpg_small --run_dir "$runs/ta_gradient" "${temporal[@]}" "${gradient[@]}"
.venv/bin/python -m scripts.reproduce.ta_lpg "$runs" "$@"
