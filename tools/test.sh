#!/usr/bin/env bash
# All tests against the installed package. They start outside the checkout's top folder, because `python -m` puts the
# current folder first on the path and the sources there would hide the generated messages.
set -eo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [[ $route == ros ]]; then
  source "$root/install/setup.bash"
fi
mkdir -p "$root/build"
cd "$root/build"
# Two workers: one has the flights, which mostly wait, the other all else.
exec "$venv/bin/python" -m pytest "$root/test" -q -n 2 --dist loadgroup "$@"
