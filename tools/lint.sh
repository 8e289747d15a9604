#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

"$venv/bin/python" -m ruff check .
"$venv/bin/python" -m ruff format --check .
