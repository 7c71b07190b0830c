#!/usr/bin/env bash
# DPO against PPO over eight environments, ten paired seeds, each at its best learning rates; with --rates ppo or
# --rates published at PPO's best or at the published ones. Run again to go on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .venv/bin/python ] || bash scripts/setup.sh
.venv/bin/python -m scripts.reproduce.dpo_vs_ppo "$@"
