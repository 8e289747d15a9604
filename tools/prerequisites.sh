#!/usr/bin/env bash
# Names everything that is missing, one line each with its remedy, and ends with 1; else prints the Python to use.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

missing=0
lack() {
  printf 'satllm: %s\n' "$*" >&2
  missing=1
}

supported() {
  "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.10}; do
    if supported "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
}

if [[ $route == ros ]]; then
  command -v colcon >/dev/null ||
    lack "ROS 2 $ROS_DISTRO is sourced but colcon is missing: apt install python3-colcon-common-extensions"
elif [[ $(uname -sm) != "Linux x86_64" ]]; then
  lack "ROS 2 wheels exist for Linux on x86-64 only, this is $(uname -sm):" \
    "install a ROS 2 distribution, source its setup.bash and run make again"
fi

python=$(find_python)
if [[ -z $python ]]; then
  lack "no Python 3.10 to 3.13 found as ${PYTHON:-python3}: apt install python3 python3-venv python3-dev," \
    "or name one with make PYTHON=/path/to/python3.11"
else
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    lack "Python $version cannot make virtual environments: apt install python$version-venv"
  headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  [[ -f $headers/Python.h ]] || lack "Python $version has no headers in $headers: apt install python$version-dev"
fi

command -v "${CC:-cc}" >/dev/null || lack "no C compiler (${CC:-cc}): apt install build-essential"
command -v "${CXX:-c++}" >/dev/null || lack "no C++ compiler (${CXX:-c++}): apt install build-essential"
command -v make >/dev/null || lack "no make: apt install make"
if ! command -v cmake >/dev/null; then
  lack "no cmake: apt install cmake"
else
  cmake_version=$(cmake --version | sed -n 's/^cmake version \([0-9.]*\).*/\1/p')
  printf '%s\n' 3.16 "$cmake_version" | sort -VC || lack "cmake $cmake_version is too old, 3.16 is needed: apt install cmake"
fi

if [[ $route == pypi && ! -f $venv/.requirements ]]; then
  free_gb=$(df -Pk "$root" | awk 'NR == 2 { print int($4 / 1e6) }')
  ((free_gb >= 9)) || lack "$free_gb GB free on the disk of $root, torch and ROS 2 need 9 GB: free some, or move the checkout"
fi

shm_mb=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print int($2 / 1024) }')
((${shm_mb:-0} >= 1024)) ||
  printf 'satllm: warning: /dev/shm has %d MB; under 1024 MB DDS goes on without shared memory, slower (docker run --shm-size=2g)\n' \
    "${shm_mb:-0}" >&2

((missing == 0)) && printf '%s\n' "$python"
exit "$missing"
