"""The next life of sensing knows how many tiles of a camera died with the earlier ones."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from satllm_ros.storage.kept import header
from satllm_ros.storage.loss_journal import LossJournal

RUN = 5


def test_what_was_at_risk_when_a_life_ended_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "sensing.journal"
    first = LossJournal(path, RUN)
    assert first.lost_tiles == 0
    first.note(12)
    first.note(7)
    first.close()
    second = LossJournal(path, RUN)
    assert second.lost_tiles == 7
    second.note(2)
    second.close()

    assert LossJournal(path, RUN).lost_tiles == 9


def test_it_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "sensing.journal"
    code = "import os, signal, sys; from pathlib import Path; from satllm_ros.storage.loss_journal import LossJournal;"
    code += "LossJournal(Path(sys.argv[1]), 5).note(41); os.kill(os.getpid(), signal.SIGKILL)"
    ended = subprocess.run([sys.executable, "-c", code, path], cwd=os.sep, check=False)

    assert ended.returncode == -signal.SIGKILL
    assert LossJournal(path, RUN).lost_tiles == 41


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"x" * 16, "was written by an older version"),
        (b"x" * 4096, "was written by an older version"),
        (header(RUN), "is no journal"),
        (header(RUN) + b"x" * 17, "is no journal"),
        (header(RUN + 1) + b"x" * 16, "is of run 0000000000000006"),
    ],
)
def test_a_file_that_is_no_journal_of_this_run_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "sensing.journal"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"sensing\.journal {words}"):
        LossJournal(path, RUN)
