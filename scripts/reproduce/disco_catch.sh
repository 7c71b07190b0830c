#!/usr/bin/env bash
# Agents that learn by the released Disco103, beside a tuned actor-critic. Run again to go on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .venv/bin/python ] || bash scripts/setup.sh
.venv/bin/python -m scripts.reproduce.disco_catch "$@"
