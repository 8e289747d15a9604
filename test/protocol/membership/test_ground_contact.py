import pytest

from satllm_ros.protocol.membership.ground_contact import GRACE_S, LINK_WORD_S, GroundContact
from satllm_ros.protocol.membership.presence import Contact

GOOD = Contact(7, 0.1, is_heard=True, hears_us=True, is_ready=True)


def opened() -> GroundContact:
    contact = GroundContact(0.0)
    contact.look(GOOD, True, 0.0)
    contact.look(GOOD, True, 1.0)
    assert contact.is_open(1.0)
    return contact


def test_it_opens_at_the_second_look_at_a_new_life_of_the_ground() -> None:
    contact = GroundContact(0.0)
    contact.look(GOOD, True, 0.0)
    assert not contact.is_open(0.0)
    contact.look(GOOD, True, 1.0)
    assert contact.is_open(1.0)
    # What the old one took with it is sent again.
    new = Contact(8, 0.1, is_heard=True, hears_us=True, is_ready=True)
    contact.look(new, True, 2.0)
    assert not contact.is_open(2.0)
    contact.look(new, True, 3.0)
    assert contact.is_open(3.0)


def test_the_same_life_opens_it_at_once_however_long_it_was_away() -> None:
    contact = opened()
    contact.look(Contact(7, 300.0), True, 300.0)
    assert not contact.is_open(300.0)
    contact.look(GOOD, True, 301.0)
    assert contact.is_open(301.0)


@pytest.mark.parametrize(
    ("seen", "connected"),
    [
        (Contact(7, 4.0, is_heard=False, hears_us=True, is_ready=True), True),
        (Contact(7, 0.1, is_heard=True, hears_us=False, is_ready=True), True),
        (Contact(7, 0.1, is_heard=True, hears_us=True, is_ready=False), True),
        (GOOD, False),
        (Contact(), True),
    ],
    ids=["not heard", "does not hear", "not ready", "not connected", "never heard"],
)
def test_nothing_less_than_two_way_contact_opens_it(seen: Contact, connected: bool) -> None:
    contact = opened()
    contact.look(seen, connected, 2.0)
    assert not contact.is_open(2.0)


def test_a_word_that_the_link_is_down_closes_it_until_it_is_forgotten_or_taken_back() -> None:
    contact = opened()
    contact.on_link(False, 2.0)
    assert not contact.is_open(2.0) and contact.is_open(2.0 + LINK_WORD_S)
    contact.on_link(True, 3.0)
    assert contact.is_open(3.0)


@pytest.mark.parametrize(
    ("seen", "connected", "why"),
    [
        (Contact(), True, "no hello of it was ever heard"),
        (Contact(7, 47.2), True, "its last hello came 47 s ago"),
        (Contact(7, 0.4, is_heard=True), True, "it is heard, 0.4 s ago, and does not hear this satellite"),
        (Contact(7, 0.4, is_heard=True, hears_us=True), True, "it is starting"),
        (GOOD, False, "its inbox is not found yet"),
    ],
)
def test_what_waits_without_contact_is_told(seen: Contact, connected: bool, why: str) -> None:
    contact = GroundContact(0.0)
    contact.look(seen, connected, 1.0)
    assert contact.trouble(0, seen, 100.0) is None
    trouble = contact.trouble(2, seen, 100.0)
    assert trouble.sentence.startswith("2 batches wait for the ground: ") and why in trouble.sentence
    assert not trouble.is_error
    # With a link that is said to be up, that is no matter of patience.
    contact.on_link(True, 100.0)
    trouble = contact.trouble(1, seen, 100.5)
    assert trouble.is_error and trouble.sentence.endswith("though link_state says that the link is up")
    assert not contact.trouble(1, seen, 101.0 + LINK_WORD_S).is_error, "a word that nobody repeats is forgotten"


def test_a_contact_that_has_just_ended_is_no_error_yet_and_a_link_that_is_down_never_is() -> None:
    contact = opened()
    contact.on_link(True, 2.0)
    gone = Contact(7, 3.0)
    contact.look(gone, True, 2.5)
    assert not contact.trouble(1, gone, 3.0).is_error
    contact.on_link(True, 2.0 + GRACE_S)
    assert contact.trouble(1, gone, 2.0 + GRACE_S).is_error
    contact.on_link(False, 2.0 + GRACE_S)
    trouble = contact.trouble(1, gone, 2.0 + GRACE_S)
    assert not trouble.is_error and trouble.sentence.endswith("link_state says that the link is down")
    # Between two contacts there is nothing to mend.
    assert trouble.is_known and not contact.trouble(1, gone, 3.0 + GRACE_S + LINK_WORD_S).is_known


def test_nothing_is_told_while_it_is_open() -> None:
    assert opened().trouble(5, GOOD, 1.0) is None
