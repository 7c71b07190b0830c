#!/usr/bin/env bash
# Discovers an objective on small grid worlds by meta-gradients, and judges it against tuned A2C on levels that it has
# not seen. Run again to go on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .venv/bin/python ] || bash scripts/setup.sh
run=runs/reproduce/lpg_small/run
short=()
if [ "${1:-}" = --short ]; then
    run=runs/reproduce/lpg_small-short/run
    short=(--outer.num_steps 4 --outer.estimator.num_tasks 4 --outer.optimizer.warmup_steps 0)
    short+=(--inner.num_steps 10 --steps_per_dispatch 2 --checkpoint_every 2)
fi
.venv/bin/heurax train objectives/lpg_small --run_dir "$run" "${short[@]}"
.venv/bin/python -m scripts.reproduce.lpg_small "$run" "$@"
