import pytest

from satllm_ros.protocol.membership.liveness import PERSISTENCE, Life, Liveness, LivenessLimits

LIMITS = LivenessLimits(period_s=1.0, window=6, suspect_misses=3, dead_misses=5)


def make_liveness() -> Liveness:
    liveness = Liveness(["sat1", "sat2"], LIMITS)
    liveness.on_tick(0.0)
    return liveness


def silence(liveness: Liveness, from_s: int, periods: int) -> list[tuple[str, Life]]:
    return [
        (change.satellite, change.after)
        for second in range(from_s, from_s + periods)
        for change in liveness.on_tick(float(second))
    ]


def test_nothing_heard_is_not_death() -> None:
    liveness = make_liveness()
    assert silence(liveness, 1, 100) == []
    assert liveness.in_state(Life.UNHEARD) == {"sat1", "sat2"}


def test_misses_make_a_suspect_and_then_a_dead_one() -> None:
    liveness = make_liveness()
    first = liveness.on_sign("sat1", 7)
    assert first is not None and first.before is Life.UNHEARD and not first.restarted
    # The period of the sign itself is no miss.
    assert silence(liveness, 1, 3) == []
    assert silence(liveness, 4, 1) == [("sat1", Life.SUSPECT)]
    assert silence(liveness, 5, 2) == [("sat1", Life.DEAD)]
    assert silence(liveness, 7, 50) == []


def test_a_lossy_channel_makes_no_suspect() -> None:
    liveness = make_liveness()
    for second in range(60):
        if second % 2:
            liveness.on_sign("sat1", 7)
        assert not [c for c in liveness.on_tick(float(second + 1)) if c.after is Life.DEAD]


def test_a_suspect_is_cleared_by_several_signs() -> None:
    liveness = make_liveness()
    liveness.on_sign("sat1", 7)
    silence(liveness, 1, 4)
    assert liveness.life("sat1") is Life.SUSPECT
    assert liveness.on_sign("sat1", 7) is None
    for second in range(5, 10):
        liveness.on_tick(float(second))
        liveness.on_sign("sat1", 7)
    assert liveness.life("sat1") is Life.ALIVE


@pytest.mark.parametrize(("boot_id", "restarted"), [(7, False), (8, True)], ids=["stopped", "killed"])
def test_who_returns_from_the_dead_tells_whether_it_kept_its_memory(boot_id: int, restarted: bool) -> None:
    liveness = make_liveness()
    liveness.on_sign("sat1", 7)
    silence(liveness, 1, 20)
    change = liveness.on_sign("sat1", boot_id)
    assert change is not None
    assert (change.before, change.after, change.restarted) == (Life.DEAD, Life.ALIVE, restarted)


def test_a_restart_faster_than_any_miss_is_noticed() -> None:
    liveness = make_liveness()
    liveness.on_sign("sat1", 7)
    change = liveness.on_sign("sat1", 8)
    assert change is not None and change.restarted


def test_late_messages_of_a_former_life_change_nothing() -> None:
    liveness = make_liveness()
    liveness.on_sign("sat1", 7)
    liveness.on_sign("sat1", 8)
    assert liveness.on_sign("sat1", 7) is None
    assert liveness.is_former("sat1", 7) and liveness.boot_id("sat1") == 8


def test_the_first_message_heard_may_be_of_the_new_life_and_the_second_of_the_old() -> None:
    liveness = make_liveness()
    liveness.on_sign("sat1", 8)
    liveness.on_sign("sat1", 7)
    for _ in range(PERSISTENCE):
        liveness.on_sign("sat1", 8)
    assert liveness.boot_id("sat1") == 8 and not liveness.is_former("sat1", 8)


def test_an_observer_that_was_away_does_not_take_its_absence_for_that_of_others() -> None:
    liveness = make_liveness()
    liveness.on_sign("sat1", 7)
    liveness.on_tick(1.0)
    assert liveness.on_tick(60.0) == []
    assert liveness.life("sat1") is Life.ALIVE
    assert liveness.on_tick(60.5) == []


def test_strangers_are_ignored() -> None:
    liveness = make_liveness()
    assert liveness.on_sign("sat9", 7) is None
    assert liveness.is_former("sat9", 7)


def test_limits_must_rise() -> None:
    with pytest.raises(ValueError, match="must rise"):
        LivenessLimits(window=4, suspect_misses=3, dead_misses=5)
