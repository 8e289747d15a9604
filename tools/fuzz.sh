#!/usr/bin/env bash
# A million corrupted frames, with the installed package.
set -eo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [[ $route == ros ]]; then
  source "$root/install/setup.bash"
fi
mkdir -p "$root/build"
cd "$root/build"
exec "$venv/bin/python" "$root/test/compression/corruption.py" "$@"
