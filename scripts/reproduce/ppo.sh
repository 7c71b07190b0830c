#!/usr/bin/env bash
# PPO with published settings learns, beside a single-file PPO of the same settings. Run again to go on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .venv/bin/python ] || bash scripts/setup.sh
.venv/bin/python -m scripts.reproduce.ppo "$@"
