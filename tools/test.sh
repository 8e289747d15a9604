#!/usr/bin/env bash
# All tests against the installed package.
set -eo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

into_build
# `make test` leaves out what is marked slow, `make test-all` nothing.
chosen=(-m "not slow")
if [[ ${1:-} == --all ]]; then
  chosen=()
  shift
fi
# Two workers, each file to one of them: the tests of a file share a flight, and what one has done to it. In our order,
# flights first: xdist's own, files with most tests first, leaves the long ones to the end. `-rs`: how many were left
# out, and why.
exec "$venv/bin/python" -m pytest "$root/test" -q -rs -n 2 --dist loadfile --no-loadscope-reorder "${chosen[@]}" "$@"
