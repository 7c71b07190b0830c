#!/usr/bin/env bash
# Discovers an objective on small grid worlds twice for each of three seeds: with levels drawn evenly, and with levels by
# regret; then judges them on levels that they have not seen. Run again to go on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .venv/bin/python ] || bash scripts/setup.sh
runs=runs/reproduce/groove_small
seeds=(0 1 2)
steps=(--outer.num_steps 800)
if [ "${1:-}" = --short ]; then
    runs=runs/reproduce/groove_small-short
    seeds=(0)
    steps=(--outer.num_steps 4 --outer.estimator.num_tasks 4 --outer.optimizer.warmup_steps 0)
    steps+=(--inner.num_steps 10 --steps_per_dispatch 2 --checkpoint_every 2)
fi
for seed in "${seeds[@]}"; do
    .venv/bin/heurax train objectives/lpg_small --run_dir "$runs/even-$seed" --seed "$seed" "${steps[@]}"
    .venv/bin/heurax train objectives/groove_small --run_dir "$runs/regret-$seed" --seed "$seed" "${steps[@]}"
done
.venv/bin/python -m scripts.reproduce.groove_small "$runs" "$@"
