"""The way in and out, on the real databases: nothing is lost, nothing is done twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.messages import Addressed, Delivery, DeliveryKey, IncomingMessage, MessageRef, Person, PersonId, Place, Reply, ReplyKind
from bot.storage.database import Database
from bot.storage.intake import IntakeStore

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LEASE = timedelta(seconds=10)
PLACE = Place("slack", "T1", "C1")
ANNA = Person(PersonId("slack:T1:U1"), "Anna", True)


def message(id: str = "1.0", place: Place = PLACE) -> IncomingMessage:
    return IncomingMessage(place, id, ANNA, "How much leave?", Addressed.MENTION, NOW, {"response_url": "x"})


def reply(key: str = "answer:1", place: Place = PLACE) -> Delivery:
    return Delivery(DeliveryKey(key), place, Reply(ReplyKind.NOTICE, "25 days."))


@pytest.fixture
def store(database: Database) -> IntakeStore:
    return IntakeStore(database)


def test_a_message_that_is_delivered_twice_is_stored_once(store: IntakeStore) -> None:
    first, again = (store.put_message(message(), NOW, NOW) for _ in range(2))

    claims = [store.claim_message("a", NOW, LEASE), store.claim_message("a", NOW, LEASE)]

    assert (first, again) == (True, False)
    assert [claim and (claim.message, claim.attempt) for claim in claims] == [(message(), 1), None]


def test_a_message_waits_until_its_time(store: IntakeStore) -> None:
    store.put_message(message(), NOW, NOW + timedelta(minutes=5))

    assert store.claim_message("a", NOW, LEASE) is None
    assert store.claim_message("a", NOW + timedelta(minutes=5), LEASE) is not None


def test_the_message_of_a_worker_that_died_comes_back_and_its_late_end_counts_no_more(store: IntakeStore) -> None:
    store.put_message(message(), NOW, NOW)
    dead = store.claim_message("dead", NOW, LEASE)
    assert dead

    alive = store.claim_message("alive", NOW + LEASE * 2, LEASE)

    assert alive and alive.attempt == 2
    assert not store.finish_message(dead, NOW, [reply("late")])
    assert store.finish_message(alive, NOW, [reply("answer:1")])
    sent = store.claim_delivery(NOW, LEASE, [])
    assert sent and sent.delivery.key == "answer:1"
    assert store.claim_delivery(NOW, LEASE, []) is None


def test_two_messages_of_one_conversation_are_answered_one_after_the_other(store: IntakeStore) -> None:
    thread = replace(PLACE, thread="1.0")
    for incoming in (message("1.0"), message("1.1", thread), message("9.0")):
        store.put_message(incoming, NOW, NOW)

    first, other, none = (store.claim_message("a", NOW, LEASE) for _ in range(3))
    assert first and other and none is None
    assert {first.message.id, other.message.id} == {"1.0", "9.0"}
    store.finish_message(first if first.message.id == "1.0" else other, NOW, [])

    following = store.claim_message("a", NOW, LEASE)
    assert following and following.message.id == "1.1"


def test_a_message_that_is_given_back_keeps_the_attempts_that_it_is_told(store: IntakeStore) -> None:
    store.put_message(message(), NOW, NOW)
    claimed = store.claim_message("a", NOW, LEASE)
    assert claimed

    store.release_message(claimed, NOW + timedelta(seconds=2), attempts=0)

    assert store.claim_message("a", NOW, LEASE) is None
    again = store.claim_message("a", NOW + timedelta(seconds=2), LEASE)
    assert again and again.attempt == 1


def test_a_reply_with_a_known_key_is_the_same_reply(store: IntakeStore) -> None:
    for text in ("one", "two"):
        store.put_delivery(replace(reply(), reply=Reply(ReplyKind.NOTICE, text)), NOW)

    claimed = store.claim_delivery(NOW, LEASE, [])

    assert claimed and claimed.delivery.reply.text == "one"
    assert store.claim_delivery(NOW, LEASE, []) is None


def test_a_reply_is_sent_again_as_a_retry_when_its_sender_died(store: IntakeStore) -> None:
    store.put_delivery(reply(), NOW)
    first = store.claim_delivery(NOW, LEASE, [])

    second = store.claim_delivery(NOW + LEASE * 2, LEASE, [])

    assert first and not first.is_retry
    assert second and second.is_retry


def test_a_stream_that_broke_off_is_ended_by_the_reply_of_the_next_attempt_as_a_retry(store: IntakeStore) -> None:
    store.put_message(message(), NOW, NOW)
    store.claim_message("dead", NOW, LEASE)
    assert store.begin_stream(DeliveryKey("answer:1"), NOW)
    store.set_draft(DeliveryKey("answer:1"), "2.0")
    again = store.claim_message("a", NOW + LEASE * 2, LEASE)
    assert again

    assert not store.begin_stream(DeliveryKey("answer:1"), NOW)
    store.finish_message(again, NOW, [reply("answer:1")])

    claimed = store.claim_delivery(NOW, LEASE, [])
    assert claimed and (claimed.draft, claimed.is_retry) == ("2.0", True)


def test_a_stream_that_ends_in_its_own_attempt_is_no_retry(store: IntakeStore) -> None:
    store.put_message(message(), NOW, NOW)
    claimed = store.claim_message("a", NOW, LEASE)
    assert claimed
    store.begin_stream(DeliveryKey("answer:1"), NOW)
    store.set_draft(DeliveryKey("answer:1"), "2.0")

    store.finish_message(claimed, NOW, [reply("answer:1")])

    sending = store.claim_delivery(NOW, LEASE, [])
    assert sending and (sending.draft, sending.is_retry) == ("2.0", False)


def test_replies_of_a_channel_that_is_paused_wait_and_others_go_on(store: IntakeStore) -> None:
    store.put_delivery(reply("a"), NOW)
    store.put_delivery(reply("b", Place("slack", "T1", "C2")), NOW)

    first, second = (store.claim_delivery(NOW, LEASE, ["C1"]) for _ in range(2))

    assert first and first.delivery.key == "b"
    assert second is None


def test_a_reply_that_is_given_up_is_counted_and_not_tried_again(store: IntakeStore) -> None:
    store.put_delivery(reply(), NOW)
    claimed = store.claim_delivery(NOW, LEASE, [])
    assert claimed

    store.fail_delivery(claimed, "the channel is gone", None)

    assert store.claim_delivery(NOW + timedelta(days=1), LEASE, []) is None
    assert store.counts() == {"inbox waiting": 0, "inbox dead": 0, "outbox waiting": 0, "outbox failed": 1}


def test_the_places_of_a_platform_are_those_in_which_it_was_asked_something(store: IntakeStore) -> None:
    for place in (PLACE, replace(PLACE, thread="1.0"), replace(PLACE, channel="D1"), replace(PLACE, platform="discord")):
        store.put_message(message(place=place), NOW, NOW)

    assert set(store.places("slack")) == {PLACE, replace(PLACE, channel="D1")}


def test_a_conversation_is_known_from_its_first_message(store: IntakeStore) -> None:
    store.put_message(message("1.0"), NOW, NOW)

    assert store.takes_part(replace(PLACE, thread="1.0").conversation)
    assert not store.takes_part(replace(PLACE, thread="7.0").conversation)


def test_what_a_platform_remembers_is_recalled_by_its_name(store: IntakeStore) -> None:
    store.remember("discord", "commands", {"hash": "a"})
    store.remember("discord", "commands", {"hash": "b"})

    assert store.recall("discord", "commands") == {"hash": "b"}
    assert store.recall("slack", "commands") is None


def test_an_unknown_message_shows_no_exchange(store: IntakeStore) -> None:
    assert store.exchange_at(MessageRef(PLACE, "1.0")) is None
