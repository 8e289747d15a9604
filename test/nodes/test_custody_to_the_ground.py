"""The last miles over real DDS: a satellite's store and the ground, each a process of its own that may be killed."""

import resource
from contextlib import closing

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from other_nodes import ACQUIRED, NEVER_S, PATIENCE_S, RUN, SPEC, Others, kill, predictions

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.nodes.base.qos import profile
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.vocabulary import Cause, Verdict
from satllm_ros.storage.batch_store import BatchStore
from satllm_ros.storage.prediction_store import PredictionStore
from satllm_ros.storage.run_identity import RunFacts, open_run

BAD_INPUT = 2


def test_predictions_wait_on_disk_for_a_ground_and_go_down_unchanged(others: Others) -> None:
    others.start_downlink(f"resend_s:={NEVER_S}")
    others.say(graph.PREDICTIONS_INBOX, "sat1", predictions(1))
    others.until(lambda: others.said(Verdict.STORED) == [1], "the acknowledgement of the store")
    others.until_next_diagnostics()
    assert (others.counter("in_contact"), others.counter("sent"), others.counter("undelivered")) == ("False", "0", "1")

    arrived = others.hear_as_ground()
    others.until(lambda: arrived, "predictions at the ground")
    (message,) = arrived
    assert (message.envelope.sender, message.envelope.destination) == ("sat1", graph.GROUND)
    assert message.header == ACQUIRED
    assert (
        list(message.labels) == [1]
        and convert.predictions_logits(message, convert.envelope_from(message.envelope)).any()
    )

    others.acknowledge(message, sender="sat2")
    others.until_next_diagnostics()
    assert others.counter("undelivered") == "1", "only the ground can say that the ground has it"
    others.acknowledge(message)
    others.until(lambda: others.counter("undelivered") == "0", "the note of the delivery")
    others.say(graph.PREDICTIONS_INBOX, "sat1", predictions(1, attempt=1))
    others.until(lambda: others.said(Verdict.DELIVERED, "sat1") == [1], "the answer to a duplicate")
    assert len(arrived) == 1


def test_a_killed_store_goes_on_and_answers_for_what_it_holds(others: Others) -> None:
    first = others.start_downlink()
    others.say(graph.PREDICTIONS_INBOX, "sat1", *map(predictions, (1, 2, 3)))
    others.until(lambda: others.said(Verdict.STORED) == [1, 2, 3], "the acknowledgements of the store")
    kill(first)
    others.acks.clear()

    others.start_downlink(f"resend_s:={NEVER_S}")
    others.until_next_diagnostics()
    ids = [m.BatchId(boot_id=2**64 - 1, sequence=sequence) for sequence in (2, 99)]
    # The killed one's subscription may still be counted: asked until it answers.
    asking = others.node.create_publisher(m.CustodyQuery, graph.CUSTODY_QUERY.of(), profile(graph.CUSTODY_QUERY.qos))

    def answered() -> bool:
        asking.publish(m.CustodyQuery(store="sat2", batches=ids[1:]))
        asking.publish(m.CustodyQuery(store="sat1", batches=ids))
        return 2 in others.said(Verdict.STORED)

    others.until(answered, "an answer")
    refused = others.said(Verdict.REFUSED, cause=Cause.NOT_HELD)
    assert refused.count(99) <= others.said(Verdict.STORED).count(2), "questions to another store are not answered"

    arrived = others.hear_as_ground()
    others.until(lambda: len(arrived) == 3, "what the dead one had promised")
    assert sorted(message.envelope.batch.sequence for message in arrived) == [1, 2, 3]


def test_without_contact_nothing_is_sent(others: Others) -> None:
    arrived = others.hear_as_ground()
    others.start_downlink(f"resend_s:={NEVER_S}")
    states = others.node.create_publisher(m.LinkState, graph.LINK_STATE.of(), profile(graph.LINK_STATE.qos))
    down = m.LinkState(sender="sat1", receiver=graph.GROUND, up=False)
    others.until(lambda: others.counter("in_contact") == "True", "contact")
    # As the link node does, again and again.
    voice = others.node.create_timer(0.2, lambda: states.publish(down))
    others.say(graph.LINK_STATE, "", m.LinkState(sender="sat2", receiver=graph.GROUND, up=True))
    others.until(lambda: others.counter("in_contact") == "False", "the end of the contact")
    others.say(graph.PREDICTIONS_INBOX, "sat1", predictions(1))
    others.until(lambda: others.said(Verdict.STORED) == [1], "the acknowledgement of the store")
    others.until_next_diagnostics()
    assert not arrived
    others.node.destroy_timer(voice)
    down.up = True
    others.say(graph.LINK_STATE, "", down)
    others.until(lambda: arrived, "predictions at the ground")


def test_a_word_that_the_link_is_down_is_forgotten_unless_it_is_repeated(others: Others) -> None:
    arrived = others.hear_as_ground()
    others.start_downlink(f"resend_s:={NEVER_S}")
    others.until(lambda: others.counter("in_contact") == "True", "contact")
    others.say(graph.LINK_STATE, "", m.LinkState(sender="sat1", receiver=graph.GROUND, up=False))
    others.until(lambda: others.counter("in_contact") == "False", "the end of the contact")
    others.say(graph.PREDICTIONS_INBOX, "sat1", predictions(1))
    others.until(lambda: arrived, "predictions at the ground, though nobody said that the link is up")


def test_who_else_listens_to_the_grounds_inbox_is_not_the_ground(others: Others) -> None:
    overheard = others.hear(graph.PREDICTIONS_INBOX, graph.GROUND)
    # Not even one that has its name.
    others.subscribe(graph.PREDICTIONS_INBOX, graph.GROUND, overheard, others.join(graph.GROUND))
    others.start_downlink(f"resend_s:={NEVER_S}")
    others.say(graph.PREDICTIONS_INBOX, "sat1", predictions(1))
    others.until(lambda: others.said(Verdict.STORED) == [1], "the acknowledgement of the store")
    others.until_next_diagnostics()
    assert others.counter("in_contact") == "False" and not overheard
    level, sentence = others.verdict()
    assert level == DiagnosticStatus.WARN
    assert sentence == "1 batch waits for the ground: no contact, and no hello of it was ever heard"

    arrived = others.hear_as_ground()
    others.until(lambda: arrived, "predictions at the ground")
    late = others.hear(graph.PREDICTIONS_INBOX, graph.GROUND)
    others.until_next_diagnostics()
    assert (len(arrived), late, others.counter("sent")) == (1, [], "1"), "nothing is sent again for a listener"


def test_a_new_ground_is_sent_what_the_old_one_took_with_it(others: Others) -> None:
    heard = others.hear_as_ground()
    old = others.ground
    others.start_downlink(f"resend_s:={NEVER_S}")
    others.say(graph.PREDICTIONS_INBOX, "sat1", predictions(1))
    others.until(lambda: heard, "predictions at the ground")
    old.mute = True
    again = others.hear_as_ground()
    others.until(lambda: again, "predictions at the new ground")


def test_a_ground_whose_name_the_graph_has_lost_is_sent_to(others: Others) -> None:
    # As the graph names the endpoints of whoever is found again after its lease has run out.
    arrived = others.hear_as_ground("_NODE_NAME_UNKNOWN_")
    others.start_downlink(f"resend_s:={NEVER_S}")
    others.say(graph.PREDICTIONS_INBOX, "sat1", predictions(1))
    others.until(lambda: arrived, "predictions at the ground")


def test_contact_that_was_away_comes_back_with_the_same_life(others: Others) -> None:
    arrived = others.hear_as_ground()
    others.start_downlink(f"resend_s:={NEVER_S}")
    others.until(lambda: others.counter("in_contact") == "True", "contact")
    others.ground.mute = True
    others.until(lambda: others.counter("in_contact") == "False", "the end of the contact")
    others.say(graph.PREDICTIONS_INBOX, "sat1", predictions(1))
    others.until(lambda: "its last hello came" in others.verdict()[1], "the age of the last hello")
    assert not arrived
    others.ground.mute = False
    others.until(lambda: arrived, "predictions at the ground")


def test_nothing_is_sent_into_a_link_that_works_one_way(others: Others) -> None:
    arrived = others.hear_as_ground()
    others.ground.deaf = True
    others.start_downlink(f"resend_s:={NEVER_S}")
    others.say(graph.PREDICTIONS_INBOX, "sat1", predictions(1))
    others.until(lambda: others.said(Verdict.STORED) == [1], "the acknowledgement of the store")
    others.until(lambda: "does not hear this satellite" in others.verdict()[1], "the reason")
    assert others.verdict()[0] == DiagnosticStatus.WARN
    states = others.node.create_publisher(m.LinkState, graph.LINK_STATE.of(), profile(graph.LINK_STATE.qos))
    up = m.LinkState(sender="sat1", receiver=graph.GROUND, up=True)
    others.node.create_timer(0.2, lambda: states.publish(up))
    others.until(lambda: others.verdict()[0] == DiagnosticStatus.ERROR, "the error")
    assert "though link_state says that the link is up" in others.verdict()[1]
    assert not arrived and others.counter("sent") == "0"
    others.ground.deaf = False
    others.until(lambda: arrived, "predictions at the ground")


def test_patience_with_the_ground_may_be_changed(others: Others) -> None:
    arrived = others.hear_as_ground()
    others.start_downlink(f"resend_s:={NEVER_S}")
    others.say(graph.PREDICTIONS_INBOX, "sat1", predictions(1))
    others.until(lambda: arrived, "predictions at the ground")
    others.set_parameter("resend_s", 1.0)
    others.until(lambda: len(arrived) == 3, "the same predictions twice more")
    assert int(others.counter("sent")) >= 2


def test_stores_share_the_room_of_the_ground(others: Others) -> None:
    arrived = others.hear_as_ground()
    crowd = ", ".join(f"sat{number}" for number in range(1, graph.MAX_CREDITS // 2 + 1))
    others.start_downlink(f"resend_s:={NEVER_S}", f"satellites:=[{crowd}]")
    others.say(graph.PREDICTIONS_INBOX, "sat1", *map(predictions, range(5)))
    others.until(lambda: len(others.said(Verdict.STORED)) == 5 and len(arrived) == 2, "the first two predictions")
    others.until_next_diagnostics()
    assert len(arrived) == 2
    others.acknowledge(arrived[0])
    others.until(lambda: len(arrived) == 3, "the next predictions")


def test_a_full_disk_is_told_and_keeps_what_it_has(others: Others, monkeypatch: pytest.MonkeyPatch) -> None:
    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    # DDS's shared memory is a file too, and larger.
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
    process = others.start_downlink(preexec_fn=small)
    others.say(graph.PREDICTIONS_INBOX, "sat1", *map(predictions, range(60)))
    refused = others.until(lambda: others.said(Verdict.REFUSED, cause=Cause.FULL), "a refusal")
    others.until(lambda: int(others.counter("received")) == 60, "all predictions")
    kept = others.said(Verdict.STORED)
    kill(process)
    assert kept and not set(kept) & set(refused)
    store = BatchStore(others.folder / "sat1.predictions.sqlite")
    assert {found.batch.sequence for found in store.restore()} >= set(kept)
    store.close()


def test_a_damaged_store_is_named_at_start(others: Others) -> None:
    (others.folder / "sat1.predictions.sqlite").write_bytes(b"junk" * 5000)
    process = others.launch_downlink()
    assert process.wait(PATIENCE_S) == BAD_INPUT
    errors = (others.folder / "errors.txt").read_text()
    assert "sat1.predictions.sqlite cannot be used as a store: file is not a database" in errors


def test_a_killed_ground_goes_on_with_its_store_and_acknowledges_copies(others: Others) -> None:
    first = others.start_ground()
    others.until_ground_is_heard()
    others.say(graph.PREDICTIONS_INBOX, graph.GROUND, predictions(1, graph.GROUND), predictions(2, graph.GROUND))
    others.until(lambda: others.said(Verdict.DELIVERED, graph.GROUND) == [1, 2], "the ground's acknowledgements")
    kill(first)
    others.acks.clear()
    others.start_ground()
    others.until(lambda: others.diagnostics.pop("/ground", None) is not None, "old diagnostics to be gone")
    copies = [predictions(2, graph.GROUND, attempt=1), predictions(3, graph.GROUND)]
    voice = others.node.create_publisher(
        m.Predictions, graph.PREDICTIONS_INBOX.of(graph.GROUND), profile(graph.PREDICTIONS_INBOX.qos)
    )

    def answered() -> bool:
        if not others.acks:
            for message in copies:
                voice.publish(message)
        return {2, 3} <= set(others.said(Verdict.DELIVERED, graph.GROUND))

    others.until(answered, "acknowledgements of the new ground")
    store = PredictionStore(others.folder / "predictions.sqlite")
    kept = {tile.key.frame: tile.copies for tile in store.read()}
    store.close()
    assert set(kept) == {1, 2, 3} and kept[1] == 1 and kept[2] >= 2


def test_the_ground_answers_what_another_model_or_run_made_and_does_not_write_it(others: Others) -> None:
    others.start_ground()
    others.until_ground_is_heard()
    wrong = [
        predictions(1, graph.GROUND, model_id="0" * 16),
        predictions(2, graph.GROUND, classes=9),
        predictions(3, graph.GROUND, run_id=RUN + 1),
        predictions(4, graph.GROUND, run_id=0),
    ]
    others.say(graph.PREDICTIONS_INBOX, graph.GROUND, *wrong, predictions(5, graph.GROUND))
    others.until(lambda: others.said(Verdict.DELIVERED, graph.GROUND) == [5], "the acknowledgement of the good one")
    others.until(lambda: others.counter("refused_foreign", "/ground") == "4", "all refusals")
    assert others.said(Verdict.REFUSED, graph.GROUND, Cause.FOREIGN) == [1, 2, 3, 4]
    assert others.said(Verdict.DELIVERED, graph.GROUND) == [5]
    with closing(PredictionStore(others.folder / "predictions.sqlite")) as store:
        assert [(row.key.frame, row.model_id, row.plan_hash) for row in store.read()] == [(5, SPEC.model_id, "0" * 16)]


def test_what_came_down_whole_and_makes_no_sense_is_answered_and_what_was_damaged_is_not(others: Others) -> None:
    others.start_ground()
    others.until_ground_is_heard()
    wrong, damaged, other_address = predictions(1, graph.GROUND), predictions(2, graph.GROUND), predictions(3, "sat9")
    wrong.labels = [7]
    damaged.logits[0] = 5.0
    other_address.labels = [7]
    others.say(graph.PREDICTIONS_INBOX, graph.GROUND, wrong, damaged, other_address, predictions(4, graph.GROUND))
    others.until(lambda: others.said(Verdict.DELIVERED, graph.GROUND) == [4], "the acknowledgement of the good one")
    assert others.said(Verdict.REFUSED, graph.GROUND, Cause.MALFORMED) == [1]
    assert len(others.acks) == 2


def test_a_ground_without_a_run_keeps_to_the_one_that_sensing_says(others: Others) -> None:
    first = others.start_ground(run_id=None)
    others.until_ground_is_heard()
    others.say(graph.PREDICTIONS_INBOX, graph.GROUND, predictions(1, graph.GROUND))
    others.until(lambda: others.counter("run_unknown", "/ground") == "1", "the count of what cannot be judged")
    assert not others.acks
    others.say(graph.LEDGER, "", m.Ledger(run_id=RUN))
    voice = others.node.create_publisher(
        m.Predictions, graph.PREDICTIONS_INBOX.of(graph.GROUND), profile(graph.PREDICTIONS_INBOX.qos)
    )

    def delivered() -> bool:
        # Which of the two messages comes first is open.
        voice.publish(predictions(1, graph.GROUND))
        return 1 in others.said(Verdict.DELIVERED, graph.GROUND)

    others.until(delivered, "the acknowledgement")
    others.say(graph.LEDGER, "", m.Ledger(run_id=RUN + 1))
    others.until(lambda: others.counter("foreign_run_heard", "/ground") != "0", "the count of another run")
    kill(first)
    with closing(PredictionStore(others.folder / "predictions.sqlite")) as store:
        assert store.run_id == RUN


def test_a_ground_whose_store_is_of_another_run_than_its_folder_is_refused(others: Others) -> None:
    open_run(others.folder, RunFacts(), software="1", begin=True)
    PredictionStore(others.folder / "predictions.sqlite", run_id=RUN).close()
    process = others.start_ground(run_id=None)
    assert process.wait(PATIENCE_S) == BAD_INPUT
    errors = (others.folder / "errors.txt").read_text()
    assert f"predictions.sqlite is of run {RUN:016x}, and this is run" in errors


def test_what_the_ground_refuses_is_set_aside_for_good(others: Others) -> None:
    arrived = others.hear_as_ground()
    first = others.start_downlink("resend_s:=1.0")
    others.say(graph.PREDICTIONS_INBOX, "sat1", predictions(1))
    others.until(lambda: arrived, "predictions at the ground")
    others.acknowledge(arrived[0], "sat2", Verdict.REFUSED, Cause.FOREIGN)
    others.acknowledge(arrived[0], graph.GROUND, Verdict.REFUSED, Cause.FULL)
    others.until(lambda: others.counter("foreign_refusal") == "1", "the count of a refusal that is none")
    assert others.counter("undelivered") == "1", "only the ground refuses for good, and only for a reason that is final"
    others.acknowledge(arrived[0], graph.GROUND, Verdict.REFUSED, Cause.FOREIGN)
    others.until(lambda: (others.counter("undelivered"), others.counter("set_aside")) == ("0", "1"), "the note of it")
    sent = others.counter("sent")
    others.until_next_diagnostics()
    assert others.counter("sent") == sent
    kill(first)
    others.acks.clear()

    others.start_downlink("resend_s:=1.0")
    others.until(lambda: others.counter("set_aside") == "1", "what is on disk")
    before = len(arrived)
    others.say(graph.PREDICTIONS_INBOX, "sat1", predictions(1))
    others.until(lambda: others.said(Verdict.REFUSED, cause=Cause.FOREIGN) == [1], "the answer to a copy")
    others.say(graph.PREDICTIONS_INBOX, "sat1", predictions(1, attempt=1))
    others.until(lambda: len(arrived) > before, "what was computed anew")
    assert arrived[-1].envelope.batch.attempt == 1 and others.said(Verdict.STORED) == [1]
