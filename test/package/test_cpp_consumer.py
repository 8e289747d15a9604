"""A C++ package can use the messages: find_package, the headers, the type support."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from installation import installed_prefix

PROJECT = """
cmake_minimum_required(VERSION 3.16)
project(consumer CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(satllm_ros REQUIRED)
add_executable(consumer main.cpp)
target_link_libraries(consumer
  satllm_ros::satllm_ros__rosidl_generator_cpp satllm_ros::satllm_ros__rosidl_typesupport_cpp)
"""

MAIN = """
#include <rosidl_typesupport_cpp/message_type_support.hpp>
#include <satllm_ros/msg/compressed_activation.hpp>

int main() {
  satllm_ros::msg::CompressedActivation activation;
  activation.cut = 6;
  activation.payload.resize(7);
  auto support =
    rosidl_typesupport_cpp::get_message_type_support_handle<satllm_ros::msg::CompressedActivation>();
  return support != nullptr && activation.payload.size() == 7 ? 0 : 1;
}
"""


@pytest.mark.timeout(240)
def test_cpp_program_builds_and_runs_with_the_messages(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(PROJECT)
    (tmp_path / "main.cpp").write_text(MAIN)
    prefix = str(installed_prefix())
    sourced = [entry for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry]
    environment = {
        **os.environ,
        "AMENT_PREFIX_PATH": os.pathsep.join([prefix, *sourced]),
        "CMAKE_PREFIX_PATH": os.pathsep.join([prefix, *sourced]),
        "LD_LIBRARY_PATH": os.pathsep.join([f"{prefix}/lib", os.environ.get("LD_LIBRARY_PATH", "")]),
    }
    for command in (
        ["cmake", "-S", ".", "-B", "build", f"-DPython3_EXECUTABLE={sys.executable}"],
        ["cmake", "--build", "build"],
        ["build/consumer"],
    ):
        finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert finished.returncode == 0, finished.stdout + finished.stderr
