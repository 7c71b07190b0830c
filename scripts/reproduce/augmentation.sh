#!/usr/bin/env bash
# Does re-parameterisation in meta-training help on a problem in other units? Run again to go on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .venv/bin/python ] || bash scripts/setup.sh
work=runs/reproduce/augmentation
short=()
if [ "${1:-}" = --short ]; then
    work=runs/reproduce/augmentation-short
    short=(--seeds '[0, 1]' --launcher.together 2 --overrides.outer.num_steps 20 --overrides.outer.optimizer.warmup_steps 5
        --overrides.steps_per_dispatch 10 --overrides.checkpoint_every 10)
fi
.venv/bin/heurax sweep sweeps/augmentation --out "$work" "${short[@]}"
.venv/bin/python -m scripts.reproduce.augmentation "$work" "$@"
