import pytest
from flight_plans import KNOWN, ORIGIN, make_plan

from satllm_ros.protocol.custody import CustodyLimits
from satllm_ros.protocol.membership.ground_contact import LINK_WORD_S
from satllm_ros.protocol.membership.outages import Outages
from satllm_ros.protocol.sensing import SendBatch, SensingLimits, SensingProtocol
from satllm_ros.protocol.signals import Report
from satllm_ros.protocol.vocabulary import Readiness, plan_key

HOUR_S, STALL_S = 3600.0, 20.0
# Stored at a satellite that computes nothing.
PLAN = make_plan(1, ("sat2", 4), ("sat1", 8), downlink="sat4")


@pytest.mark.parametrize("pair", [("sensing", "sat2"), ("sat2", "sat1"), ("sat1", "sat4")])
def test_every_link_of_the_way_to_the_store_stops_the_chain_until_the_word_is_old(pair: tuple[str, str]) -> None:
    outages = Outages()
    outages.on_link(*pair, False, 10.0)
    assert outages.stop(PLAN, 10.0 + LINK_WORD_S - 0.1) and not outages.stop(PLAN, 10.0 + LINK_WORD_S)
    outages.on_link(*pair, True, 11.0)
    assert not outages.stop(PLAN, 11.0)


@pytest.mark.parametrize("pair", [("sat4", "ground"), ("sat1", "sat2"), ("sensing", "sat1"), ("sat2", "sat4")])
def test_other_links_do_not(pair: tuple[str, str]) -> None:
    outages = Outages()
    outages.on_link(*pair, False, 0.0)
    assert not outages.stop(PLAN, 0.0)


@pytest.mark.parametrize("is_known", [True, False])
def test_an_outage_of_an_hour_that_is_known_costs_no_batch_an_attempt(is_known: bool) -> None:
    limits = SensingLimits(CustodyLimits(window_batches=2, copies_batches=2, stall_s=STALL_S))
    sensing: SensingProtocol[str] = SensingProtocol(5, limits, **ORIGIN)
    sensing.start(0.0)
    sensing.on_proposal(PLAN, 0.0)

    def live(now_s: float) -> None:
        for name in KNOWN:
            sensing.on_report(Report(name, 1, plan_key(PLAN), Readiness.READY, serves=(plan_key(PLAN),)), now_s)

    live(0.0)
    sensing.custody.accept("tiles", 1)
    assert [type(action) for action in sensing.on_accepted(0.0)][-1] is SendBatch
    now_s = 0.0
    while now_s < HOUR_S:
        now_s += 1.0
        live(now_s)
        if is_known:
            sensing.outages.on_link("sat2", "sat1", False, now_s)
        sensing.on_tick(now_s)
    assert bool(sensing.custody.causes["stalled"]) is not is_known
    # Afterwards it is waited for as ever.
    sensing.outages.on_link("sat2", "sat1", True, now_s)
    before = sensing.custody.causes["stalled"]
    for _ in range(round(STALL_S) + 2):
        now_s += 1.0
        live(now_s)
        sensing.on_tick(now_s)
    assert sensing.custody.causes["stalled"] >= before + is_known
