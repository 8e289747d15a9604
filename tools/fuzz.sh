#!/usr/bin/env bash
# A million corrupted frames, with the installed package.
set -eo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

into_build
exec "$venv/bin/python" "$root/test/compression/corruption.py" "$@"
