#!/usr/bin/env bash
# Meta-trains a small Disco rule from scratch on small grid worlds, and judges it on an environment that it has not seen.
# Run again to go on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .venv/bin/python ] || bash scripts/setup.sh
run=runs/reproduce/disco_small/run
short=()
if [ "${1:-}" = --short ]; then
    run=runs/reproduce/disco_small-short/run
    short=(--outer.num_steps 2 --outer.estimator.num_tasks 2 --outer.estimator.window 2)
    short+=(--outer.optimizer.warmup_steps 0 --inner.num_steps 4 --inner.num_envs 2 --inner.num_rollout_steps 4)
    short+=(--steps_per_dispatch 1 --checkpoint_every 1)
fi
.venv/bin/heurax train objectives/disco_small --run_dir "$run" "${short[@]}"
.venv/bin/python -m scripts.reproduce.disco_small "$run" "$@"
