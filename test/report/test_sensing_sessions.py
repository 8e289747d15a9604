"""The books of sensing when it dies and comes back."""

from satllm_ros.report.record.sensing_sessions import MAX_LIVES, SensingSessions, SessionTotals


def test_one_life_is_taken_as_it_says() -> None:
    sessions = SensingSessions(rereads=True)
    assert sessions.sent() == 0
    sessions.note(SessionTotals(1, acquired=10))
    sessions.note(
        SessionTotals(1, acquired=20, delivered=15, dropped_before={"unreadable": 2}, dropped_after={"tired": 3})
    )
    assert (sessions.sent(), sessions.dropped_before(), sessions.restarted) == (18, {"unreadable": 2}, False)


def test_a_bag_that_is_read_again_is_counted_once() -> None:
    sessions = SensingSessions(rereads=True)
    sessions.note(SessionTotals(1, acquired=60, delivered=40, dropped_before={"unreadable": 1}))
    sessions.note(SessionTotals(2, acquired=10, dropped_before={"unreadable": 1}))
    assert (sessions.sent(), sessions.dropped_before()) == (59, {"unreadable": 1}), (
        "more was sent before than until now"
    )
    sessions.note(SessionTotals(2, acquired=100, delivered=98, dropped_before={"unreadable": 2}))
    assert (sessions.sent(), sessions.dropped_before(), sessions.restarted) == (98, {"unreadable": 2}, True)


def test_tiles_of_a_camera_add_up_over_its_lives() -> None:
    sessions = SensingSessions(rereads=False)
    sessions.note(
        SessionTotals(1, acquired=60, delivered=40, dropped_before={"overflow": 5}, dropped_after={"tired": 2})
    )
    # 13 were in custody: 9 are lost, 4 were on disk and are acquired again.
    sessions.note(SessionTotals(2, acquired=4 + 30, delivered=34, lost=9))
    assert sessions.sent() == 60 - 5 + 30
    assert sessions.dropped_before() == {"overflow": 5}
    sessions.note(SessionTotals(3, acquired=7, lost=9))
    assert sessions.sent() == 60 - 5 + 30 + 7


def test_a_stray_message_does_not_end_a_life() -> None:
    sessions = SensingSessions(rereads=True)
    sessions.note(SessionTotals(1, acquired=60, delivered=60))
    sessions.note(SessionTotals(666, dropped_after={"tired": 5}))
    sessions.note(SessionTotals(1, acquired=70, delivered=70))
    assert sessions.sent() == 70


def test_a_node_that_dies_all_the_time_fills_no_memory() -> None:
    sessions = SensingSessions(rereads=False)
    for boot_id in range(10 * MAX_LIVES):
        sessions.note(SessionTotals(boot_id, acquired=1, delivered=1))
    assert sessions.sent() == MAX_LIVES
