#!/usr/bin/env bash
# Discovers a drift on small grid worlds, and judges it on levels and environments that it has not seen. Run again to go
# on where it stopped. `src/heurax/zoo/lpo-small` is the artifact that this made.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .venv/bin/python ] || bash scripts/setup.sh
run=runs/reproduce/lpo_small/run
short=()
if [ "${1:-}" = --short ]; then
    run=runs/reproduce/lpo_small-short/run
    short=(--outer.num_steps 10 --outer.population_size 4 --outer.num_rollouts 2 --checkpoint_every 10)
fi
.venv/bin/heurax train drifts/lpo_small --run_dir "$run" "${short[@]}"
.venv/bin/python -m scripts.reproduce.lpo_small "$run" "$@"
