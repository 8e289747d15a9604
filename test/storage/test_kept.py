"""What a node keeps for its next life is that run's alone."""

from pathlib import Path

import pytest

from satllm_ros.storage.kept import keep, kept


def test_what_is_kept_comes_back_in_the_same_run_only(tmp_path: Path) -> None:
    path = tmp_path / "sensing.plan"
    assert kept(path, 7) is None
    keep(path, 7, b"a plan\n")
    assert kept(path, 7) == b"a plan\n"
    with pytest.raises(ValueError, match=r"sensing\.plan is of run 0{15}7, and this is run 0{15}8"):
        kept(path, 8)


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"satllm 1 0000000000000007\n", b"satllm 2 "])
def test_a_file_of_an_older_version_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sensing.plan"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="move it away"):
        kept(path, 7)
