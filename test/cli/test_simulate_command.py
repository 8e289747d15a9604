import argparse

import pytest

from satllm_ros.cli import simulate as command
from satllm_ros.simulation.mutations import catalogue
from satllm_ros.simulation.mutations.catalogue import MUTATIONS


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["simulate", *words])
    return args.run(args)


def test_good_runs_end_with_0_and_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--seeds", "5", "--first-seed", "20") == 0
    assert "no promise was broken" in capsys.readouterr().out


def test_a_broken_promise_ends_with_1_and_its_story(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from satllm_ros.simulation import run as room

    careless = next(m for m in MUTATIONS if m.name == "hasty commit")
    simulate = room.simulate
    monkeypatch.setattr(room, "simulate", lambda seed, *, tell=False: simulate(seed, parts=careless.parts, tell=tell))
    assert run("--seeds", "50") == 1
    told = capsys.readouterr()
    assert "BROKEN: plan 1.1 is committed though" in told.out and "starts (life 1)" in told.out
    assert "--first-seed" in told.err


def test_a_bug_that_nobody_catches_ends_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from satllm_ros.simulation.run import Parts

    harmless = catalogue.Mutation("none", "nothing is wrong", Parts())
    monkeypatch.setattr(catalogue, "MUTATIONS", (harmless,))
    monkeypatch.setattr(catalogue, "SEEDS", 3)
    assert run("--mutations") == 1
    assert "not caught within 3 seeds: nothing is wrong" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["0", "-3", "many"])
def test_a_bad_number_of_runs_is_refused(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--seeds", count)
    assert ended.value.code == 2
    assert "allowed are whole numbers from 1" in capsys.readouterr().err
