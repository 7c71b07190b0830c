#!/usr/bin/env bash
# Meta-trains Celo2 on four sets of 8x8 images, and judges it by the suite `small`. Run again to go on where it stopped.
# `src/heurax/zoo/celo2-small` is the artifact that this made.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .venv/bin/python ] || bash scripts/setup.sh
work=runs/reproduce/celo2_small
train=()
suite=()
if [ "${1:-}" = --short ]; then
    work=runs/reproduce/celo2_small-short
    train=(--outer.num_steps 20 --outer.optimizer.warmup_steps 5 --steps_per_dispatch 10 --checkpoint_every 10)
    suite=(--lanes 2 --tasks '[mlp_iris, quadratic]' --baselines '[adam, adamw]' --num_steps '[20, 40]' --yardstick_steps 40
        --num_points 10 --num_seeds 2 --num_resamples 100)
fi
.venv/bin/heurax train learned_optimizers/celo2_small --run_dir "$work/run" "${train[@]}"
.venv/bin/heurax evaluate "$work/run" --suite small --out "$work/small" "${suite[@]}"
[ "${1:-}" = --short ] || .venv/bin/heurax evaluate "$work/run" --suite language_model --out "$work/language_model"
.venv/bin/python -m scripts.reproduce.celo2_small "$work" "$@"
