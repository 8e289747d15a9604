import pytest

from satllm_ros.links.contact_schedule import ContactSchedule, first_rates
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.orbit.contact_plan import Contact

DOWN = ("a", "ground")
# A light second away.
PLAN = [Contact(*DOWN, 10.0, 20.0, 1e6, 299_792_458.0), Contact(*DOWN, 20.0, 30.0, 2e6, 0.0)]


def test_links_open_change_and_close_at_the_edges_and_only_there() -> None:
    schedule = ContactSchedule(PLAN)
    seen = []
    for now_s in (0.0, 9.9, 10.0, 19.9, 20.0, 29.9, 30.0, 99.0):
        seen.append((schedule.look(now_s), schedule.rates(DOWN), schedule.next_edge_s))
    slow, fast = LinkRates(1e6, 1.0), LinkRates(2e6)
    assert seen == [
        (True, None, 10.0),
        (False, None, 10.0),
        (True, slow, 20.0),
        (False, slow, 20.0),
        (True, fast, 30.0),
        (False, fast, 30.0),
        (True, None, None),
        (False, None, None),
    ]


def test_a_clock_that_goes_back_opens_what_was_open_then() -> None:
    schedule = ContactSchedule(PLAN)
    assert schedule.look(50.0) and schedule.rates(DOWN) is None
    assert schedule.look(15.0) and schedule.rates(DOWN) == LinkRates(1e6, 1.0)


def test_at_sixty_times_real_a_contact_carries_in_a_real_second_what_it_would_in_a_minute() -> None:
    schedule = ContactSchedule(PLAN, speed=60.0)
    schedule.look(10.0)
    rates = schedule.rates(DOWN)
    assert rates is not None and (rates.rate_bps, rates.propagation_s) == pytest.approx((6e7, 1 / 60))


def test_first_rates_are_those_of_first_contacts_and_the_least_where_there_is_none() -> None:
    rates = first_rates(PLAN[::-1], [DOWN, ("b", "ground")], 2.0)
    assert rates == {DOWN: LinkRates(2e6, 0.5), ("b", "ground"): LinkRates(1.0)}
