#!/usr/bin/env bash
# DPO against PPO over twelve environments, ten paired seeds; with --rates own or --rates ppo at the learning rates
# that are best for each or for PPO. Run again to go on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .venv/bin/python ] || bash scripts/setup.sh
.venv/bin/python -m scripts.reproduce.dpo_vs_ppo "$@"
