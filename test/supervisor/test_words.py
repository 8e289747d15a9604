"""What a process tells the one that started it, over a real pipe."""

import os
import subprocess
import sys

import pytest

from satllm_ros.supervisor import parent
from satllm_ros.supervisor.parent import PLAN, READY, WORDS_VARIABLE, tell_parent
from satllm_ros.supervisor.words import Words


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> Words:
    """The parent's end, with this process in the part of the child too."""
    made = Words()
    monkeypatch.setattr(parent, "_pipe", [])
    with made.opened() as theirs:
        monkeypatch.setenv(WORDS_VARIABLE, str(os.dup(theirs)))
    yield made
    for fd in parent._pipe:
        os.close(fd)
    made.close()


def test_the_last_word_counts_and_a_plan_is_remembered(words: Words) -> None:
    words.read()
    assert (words.last, words.plan) == ("", False)
    tell_parent("the camera\nis cold")
    tell_parent(PLAN)
    words.read()
    assert (words.last, words.plan) == ("the camera is cold", True)
    tell_parent(READY)
    words.read()
    assert words.last == READY
    assert WORDS_VARIABLE not in os.environ, "processes of its own would speak for it"


def test_a_parent_that_does_not_read_stops_nobody(words: Words) -> None:
    for _ in range(200):
        tell_parent("x" * 1000)
    words.read()
    tell_parent(READY)
    words.read()
    assert words.last.endswith(READY)


def test_a_parent_that_is_gone_stops_nobody(words: Words) -> None:
    tell_parent("loading")
    words.read()
    words.close()
    tell_parent(READY)
    words.read()
    assert words.last == "loading", "nobody heard the rest"


def test_without_a_parent_that_asks_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(parent, "_pipe", [])
    monkeypatch.setattr(os, "write", lambda fd, line: written.append(line))
    monkeypatch.delenv(WORDS_VARIABLE, raising=False)
    tell_parent(READY)
    monkeypatch.setenv(WORDS_VARIABLE, "nonsense")
    tell_parent(READY)
    assert written == [] and parent._pipe == [] and WORDS_VARIABLE not in os.environ


def test_the_word_of_a_child_and_of_its_next_life() -> None:
    words = Words()
    program = "import sys; from satllm_ros.supervisor.parent import tell_parent; [tell_parent(w) for w in sys.argv[1:]]"

    def live(*said: str) -> None:
        with words.opened() as theirs:
            environment = os.environ | {WORDS_VARIABLE: str(theirs)}
            subprocess.run([sys.executable, "-c", program, *said], env=environment, pass_fds=[theirs], check=True)

    live("loading", PLAN)
    words.read()
    assert (words.last, words.plan) == ("loading", True)
    live(READY)
    words.read()
    assert (words.last, words.plan) == (READY, True)
    live()
    words.read()
    assert (words.last, words.plan) == ("", True)
