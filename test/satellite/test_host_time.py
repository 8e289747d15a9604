"""Which clock a process reads, and whose time inference took."""

import ctypes
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from satllm_ros.nodes.base import host_clock
from satllm_ros.satellite import engine_time

# A call through PyDLL keeps Python's lock: what a publish() to a slow link does.
HELD_S = 0.5
hold_the_lock = ctypes.PyDLL(None).usleep


def test_processes_of_one_computer_read_one_clock_by_name() -> None:
    code = "from satllm_ros.nodes.base.host_clock import host_clock; print(host_clock())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == host_clock.host_clock() != ""


def test_without_a_word_of_the_system_a_process_has_a_clock_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host_clock, "BOOT_ID", tmp_path / "absent")
    first, second = host_clock.host_clock.__wrapped__(), host_clock.host_clock.__wrapped__()
    assert first != second


def test_waiting_for_pythons_lock_is_none_of_the_engines_time() -> None:
    measuring, go_on = threading.Event(), threading.Event()
    took: dict[str, float] = {}

    def work() -> None:
        wall_s, engine_s = time.monotonic(), engine_time.engine_s()
        measuring.set()
        # Without the lock, as torch is in an operation; the other thread takes it meanwhile.
        go_on.wait()
        took["engine"], took["wall"] = engine_time.engine_s() - engine_s, time.monotonic() - wall_s

    # Else whoever waits for the lock looks again every 5 ms, and stands in line for a processor to do so.
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(10 * HELD_S)
    worker = threading.Thread(target=work)
    try:
        worker.start()
        measuring.wait()
        go_on.set()
        hold_the_lock(int(HELD_S * 1e6))
        worker.join()
    finally:
        sys.setswitchinterval(before_s)
    assert took["engine"] <= took["wall"] - HELD_S / 2
    assert took["engine"] >= 0.0


def test_work_counts_in_full() -> None:
    engine_s, cpu_s = engine_time.engine_s(), time.thread_time()
    sum(range(2_000_000))
    assert engine_time.engine_s() - engine_s >= time.thread_time() - cpu_s - 1e-3


@pytest.mark.parametrize("content", ["", "1", "1 x 2", None])
def test_a_kernel_that_does_not_tell_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "schedstat"
    if content is not None:
        path.write_text(content)
    monkeypatch.setattr(engine_time, "SCHEDULE", path)
    before_s = time.thread_time()
    assert before_s <= engine_time.engine_s() <= time.thread_time()
