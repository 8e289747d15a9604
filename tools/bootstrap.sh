#!/usr/bin/env bash
# Prepares what `make demo` and `make test` run in; does nothing, in under a second, when all is as it was.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

# The first of them names the others.
wanted=$(fingerprint "${requirements[@]}")
sources=$(fingerprint CMakeLists.txt package.xml setup.py pyproject.toml cmake config include launch msg satllm_ros src)

installed() {
  [[ -x $venv/bin/python && $(cat "$venv/$1" 2>/dev/null) == "$2" ]]
}

built() {
  installed .package "$sources" && [[ $route == pypi || -f install/setup.bash ]]
}

install_with_pip() {
  "$venv/bin/python" -m pip --disable-pip-version-check install --no-input "$@"
}

if installed .requirements "$wanted" && built; then
  exit 0
fi

python=$(tools/prerequisites.sh)

if ! installed .requirements "$wanted"; then
  if ! "$venv/bin/python" -c '' 2>/dev/null; then
    options=()
    # The distribution's own rclpy, numpy and cv_bridge, and on a Jetson NVIDIA's torch, must stay visible.
    [[ $route == ros ]] && options=(--system-site-packages)
    quietly venv "creating ${venv#"$root"/} with $("$python" --version)" "$python" -m venv --clear "${options[@]}" "$venv"
  fi
  rm -f "$venv/.requirements" "$venv/.package"
  quietly requirements "installing ${requirements[0]} (several GB the first time, minutes)" \
    install_with_pip -r "${requirements[0]}"
  printf '%s\n' "$wanted" >"$venv/.requirements"
fi

if [[ $route == ros ]]; then
  quietly package "building satllm_ros with colcon for ROS 2 $ROS_DISTRO" \
    colcon --log-base log build --base-paths . --packages-select satllm_ros --build-base build/colcon \
    --install-base install --cmake-args -DPython3_EXECUTABLE="$venv/bin/python" -DBUILD_TESTING=OFF
else
  quietly package "building and installing satllm_ros in ${venv#"$root"/}" \
    install_with_pip --no-deps --no-build-isolation .
fi
printf '%s\n' "$sources" >"$venv/.package"
