#!/usr/bin/env bash
# Make .venv with heurax and everything its tests need, at the pinned versions. Safe to run again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -z "${PYTHON:-}" ]; then
    for candidate in python3.11 python3.12 python3 python; do
        if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            PYTHON=$candidate
            break
        fi
    done
fi
if [ -z "${PYTHON:-}" ]; then
    echo "setup: no Python 3.11 or newer found; set PYTHON to one" >&2
    exit 2
fi

stamp=.venv/.heurax-setup
want=$(cat pyproject.toml constraints.txt scripts/setup.sh | cksum)
if [ -x .venv/bin/heurax ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
    exit 0
fi
echo "setting up .venv with $PYTHON; this downloads about 1 GB the first time"
if command -v uv >/dev/null; then
    [ -x .venv/bin/python ] || uv venv --quiet --python "$PYTHON" .venv
    uv pip install --quiet --python .venv/bin/python --constraint constraints.txt --editable ".[dev]"
else
    [ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
fi
echo "$want" >"$stamp"
