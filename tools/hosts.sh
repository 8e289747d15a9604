#!/usr/bin/env bash
# Flies between network namespaces, a host each, against the installed package: tools/hosts.sh [WORDS...]
# From outside the checkout's top folder, for the reason given in tools/test.sh.
set -eo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [[ $route == ros ]]; then
  source "$root/install/setup.bash"
fi
mkdir -p "$root/build"
cd "$root/build"
export PYTHONPATH="$root/test:$root/test/system${PYTHONPATH:+:$PYTHONPATH}"
exec "$venv/bin/python" -m hosts.run "$@"
