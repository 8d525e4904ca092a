"""Replies on their way into Slack: as blocks, as plain text, into a stream, privately, and never twice."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.slack.connection import SlackPlatform
from bot.errors import DeliveryRefused, PlatformUnavailable
from bot.messages import (
    Addressed,
    Button,
    Control,
    Delivery,
    DeliveryKey,
    IncomingMessage,
    Mark,
    MessageRef,
    Person,
    PersonId,
    Place,
    Reply,
    ReplyKind,
)
from bot.storage.database import Database
from tests.adapters.slack import reading
from tests.adapters.slack.faults import Fault, drops_call, loses_reply, rate_limited, rate_limited_with_200, refuses, unavailable
from tests.adapters.slack.office import Office
from tests.adapters.slack.running import connected
from tests.adapters.slack.state import Message

pytestmark = pytest.mark.slow

ANA = PersonId("slack:T1:U1")
KEY = DeliveryKey("answer:slack:T1:C1:1.1")
TEXT = "You get 27 days."
LONG = "\n\n".join(["A paragraph of a long answer. " * 20] * 40)


@pytest.fixture
async def platform(office: Office, database: Database) -> AsyncIterator[SlackPlatform]:
    async with connected(office.slack, database) as platform:
        yield platform


@pytest.fixture
async def asked(office: Office) -> str:
    """Ana's question in #general."""
    return await office.ana.say(office.general, f"{office.slack.mention} How many days?")


def delivery(office: Office, asked: str, text: str = TEXT, **changes: Any) -> Delivery:
    place = Place("slack", "T1", office.general, asked)
    return Delivery(**{"key": KEY, "place": place, "reply": Reply(ReplyKind.ANSWER, text), "answers": asked, **changes})


def question(office: Office, asked: str) -> IncomingMessage:
    author = Person(ANA, "Ana", True)
    return IncomingMessage(Place("slack", "T1", office.general), asked, author, "?", Addressed.MENTION, datetime.now(UTC))


def thread(office: Office, asked: str) -> list[Message]:
    return [office.slack.message(office.general, ts) for ts in office.slack.world.replies(office.general, asked)]


def shown(office: Office, messages: Sequence[Message]) -> list[str]:
    return [office.slack.visible_text(message) for message in messages]


async def test_a_reply_hangs_below_what_it_answers(office: Office, platform: SlackPlatform, asked: str) -> None:
    ids = await platform.deliver(delivery(office, asked))

    (message,) = thread(office, asked)
    assert (message.ts, message.text) == (ids[0], TEXT)
    assert message.metadata == {"event_type": "timbre_reply", "event_payload": {"key": KEY, "part": 0}}
    (call,) = office.slack.calls_of("chat.postMessage")
    assert (call.arguments["unfurl_links"], call.arguments["unfurl_media"]) == (False, False)


async def test_a_reply_without_a_thread_hangs_below_its_message_all_the_same(
    office: Office, platform: SlackPlatform, asked: str
) -> None:
    await platform.deliver(delivery(office, asked, place=Place("slack", "T1", office.general)))

    assert shown(office, thread(office, asked)) == [TEXT]


async def test_a_long_reply_becomes_several_messages(office: Office, platform: SlackPlatform, asked: str) -> None:
    ids = await platform.deliver(delivery(office, asked, LONG))

    assert len(ids) == len(thread(office, asked)) == 3
    assert " ".join("\n\n".join(shown(office, thread(office, asked))).split()) == " ".join(LONG.split())


@pytest.mark.parametrize("error", ["invalid_blocks", "msg_blocks_too_long", "invalid_blocks_format"])
async def test_blocks_that_slack_refuses_are_sent_as_plain_text(
    office: Office, platform: SlackPlatform, asked: str, error: str
) -> None:
    office.slack.faults.add(refuses(error), "chat.postMessage", times=None, when=lambda sent: bool(sent.get("blocks")))

    ids = await platform.deliver(delivery(office, asked, "**You** get <27> days. " * 300))

    assert len(ids) == 3
    assert all(not message.blocks and len(message.text) <= 3600 for message in thread(office, asked))
    assert shown(office, thread(office, asked))[0].startswith("You get <27> days.")


async def test_plain_pieces_that_were_sent_are_found_again(office: Office, platform: SlackPlatform, asked: str) -> None:
    office.slack.faults.add(refuses("invalid_blocks"), "chat.postMessage", times=None, when=lambda sent: bool(sent.get("blocks")))
    office.slack.faults.add(unavailable(), "chat.postMessage", after=1, when=lambda sent: not sent.get("blocks"))
    reply = delivery(office, asked, "You get 27 days. " * 400)
    with pytest.raises(PlatformUnavailable):
        await platform.deliver(reply)

    ids = await platform.deliver(reply, is_retry=True)

    assert ids == [message.ts for message in thread(office, asked)]
    assert len(ids) == 2


@pytest.mark.parametrize("fault", [loses_reply(), drops_call(), unavailable(500), rate_limited(1), rate_limited_with_200()])
async def test_a_reply_is_sent_once_whatever_happened_to_the_first_try(
    office: Office, platform: SlackPlatform, asked: str, fault: Fault
) -> None:
    office.slack.faults.add(fault, "chat.postMessage")
    with pytest.raises(PlatformUnavailable):
        await platform.deliver(delivery(office, asked))

    ids = await platform.deliver(delivery(office, asked), is_retry=True)

    assert ids == [message.ts for message in thread(office, asked)]
    assert len(ids) == 1


async def test_of_a_long_reply_only_what_is_missing_is_sent_again(office: Office, platform: SlackPlatform, asked: str) -> None:
    office.slack.faults.add(loses_reply(), "chat.postMessage", after=1)
    with pytest.raises(PlatformUnavailable):
        await platform.deliver(delivery(office, asked, LONG))

    ids = await platform.deliver(delivery(office, asked, LONG), is_retry=True)

    assert ids == [message.ts for message in thread(office, asked)]
    assert len(ids) == 3


async def test_a_reply_outside_of_threads_is_found_again(office: Office, platform: SlackPlatform) -> None:
    shared = Delivery(KEY, Place("slack", "T1", office.general), Reply(ReplyKind.ANSWER, TEXT))
    office.slack.faults.add(loses_reply(), "chat.postMessage")
    with pytest.raises(PlatformUnavailable):
        await platform.deliver(shared)

    await platform.deliver(shared, is_retry=True)

    assert len(office.slack.world.timeline(office.general)) == 1


async def test_slack_says_how_long_to_wait(office: Office, platform: SlackPlatform, asked: str) -> None:
    office.slack.faults.add(rate_limited(17), "chat.postMessage")

    with pytest.raises(PlatformUnavailable) as caught:
        await platform.deliver(delivery(office, asked))

    assert caught.value.retry_after_s == 17


@pytest.mark.parametrize("error", ["channel_not_found", "is_archived", "not_in_channel"])
async def test_what_slack_refuses_for_ever_is_refused(office: Office, platform: SlackPlatform, asked: str, error: str) -> None:
    office.slack.faults.add(refuses(error), "chat.postMessage")

    with pytest.raises(DeliveryRefused, match=error):
        await platform.deliver(delivery(office, asked))


@pytest.mark.parametrize("error", ["invalid_auth", "token_revoked", "missing_scope"])
async def test_what_an_administrator_can_mend_is_waited_for(
    office: Office, platform: SlackPlatform, asked: str, error: str
) -> None:
    office.slack.faults.add(refuses(error), "chat.postMessage")

    with pytest.raises(PlatformUnavailable, match=error):
        await platform.deliver(delivery(office, asked))


async def test_a_question_that_was_deleted_gets_no_answer(office: Office, platform: SlackPlatform, asked: str) -> None:
    await office.ana.delete(office.general, asked)

    with pytest.raises(DeliveryRefused):
        await platform.deliver(delivery(office, asked), is_retry=True)


async def test_another_workspace_is_none_of_ours(office: Office, platform: SlackPlatform, asked: str) -> None:
    with pytest.raises(DeliveryRefused, match="not installed"):
        await platform.deliver(delivery(office, asked, place=Place("slack", "T9", "C1")))


# -- for one person


async def test_what_is_for_one_person_is_seen_by_them_alone(office: Office, platform: SlackPlatform, asked: str) -> None:
    ids = await platform.deliver(delivery(office, asked, to=ANA))

    (message,) = office.ana.ephemerals()
    assert (message.text, message.thread_ts, ids) == (TEXT, asked, [])
    assert thread(office, asked) == []


async def test_who_has_left_the_channel_is_told_directly(office: Office, platform: SlackPlatform, asked: str) -> None:
    await office.ana.leave(office.general)

    await platform.deliver(delivery(office, asked, to=ANA))

    assert shown(office, office.slack.world.messages(office.ana.direct_channel)) == [TEXT]


async def test_a_place_without_a_channel_is_a_direct_conversation(office: Office, platform: SlackPlatform) -> None:
    note = Delivery(KEY, Place("slack", "T1", ""), Reply(ReplyKind.NOTICE, TEXT), to=ANA)
    office.slack.faults.add(loses_reply(), "chat.postMessage")
    with pytest.raises(PlatformUnavailable):
        await platform.deliver(note)

    await platform.deliver(note, is_retry=True)

    assert shown(office, office.slack.world.messages(office.ana.direct_channel)) == [TEXT]


async def test_a_command_is_answered_through_its_address_while_that_lives(office: Office, platform: SlackPlatform) -> None:
    handle = await handle_of(office)

    ids = await platform.deliver(private(office, handle))

    assert ids == []
    assert shown(office, office.ana.ephemerals()) == [TEXT]
    assert office.slack.calls_of("chat.postEphemeral") == []


@pytest.mark.parametrize("fate", ["late", "used up", "gone"])
async def test_a_command_is_answered_when_its_address_is_dead(office: Office, platform: SlackPlatform, fate: str) -> None:
    handle = await handle_of(office)
    if fate == "late":
        handle["until"] = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    if fate == "gone":
        office.slack.clock.advance(1801)
    for number in range(5 if fate == "used up" else 0):
        await platform.deliver(replace(private(office, handle), key=DeliveryKey(f"earlier-{number}")))

    await platform.deliver(private(office, handle))

    assert shown(office, office.ana.ephemerals())[-1] == TEXT
    assert len(office.slack.calls_of("chat.postEphemeral")) == 1


async def test_blocks_that_slack_refuses_in_private_are_sent_as_plain_text(
    office: Office, platform: SlackPlatform, asked: str
) -> None:
    office.slack.faults.add(refuses("invalid_blocks"), "chat.postEphemeral")

    await platform.deliver(delivery(office, asked, to=ANA))

    (message,) = office.ana.ephemerals()
    assert (message.text, message.blocks) == (TEXT, [])


def private(office: Office, handle: dict[str, str]) -> Delivery:
    place = Place("slack", "T1", office.general)
    return Delivery(KEY, place, Reply(ReplyKind.ANSWER, TEXT), to=ANA, answers="trigger", handle=handle)


async def handle_of(office: Office) -> dict[str, str]:
    id = office.slack.handles.new_response_url("T1", "U1", office.general)
    until = (datetime.now(UTC) + timedelta(minutes=25)).isoformat()
    return {"response_url": f"{office.slack.url}/response/{id}", "until": until}


# -- streams


async def streaming(office: Office, platform: SlackPlatform, asked: str, *pieces: str) -> str:
    """An answer that has begun to show; its id."""
    posted: list[str] = []

    async def on_posted(id: str) -> None:
        assert office.slack.message(office.general, id).text == ""
        posted.append(id)

    stream = await platform.open_stream(KEY, question(office, asked), on_posted)
    assert stream
    for piece in pieces:
        await stream.append(piece)
    return posted[0]


async def test_an_answer_grows_and_is_ended_by_its_delivery(office: Office, platform: SlackPlatform, asked: str) -> None:
    draft = await streaming(office, platform, asked, "You get ")
    while_writing = office.slack.message(office.general, draft).text
    rated = Reply(ReplyKind.ANSWER, TEXT, buttons=[Button(Control.ASK_PERSON, "e1", "Ask a person")])

    ids = await platform.deliver(delivery(office, asked, reply=rated), draft=draft)

    (message,) = thread(office, asked)
    assert while_writing == "You get "
    assert ids == [message.ts] == [draft]
    assert message.text == TEXT
    assert [block["type"] for block in message.blocks] == ["markdown", "actions"]
    assert message.stream and message.stream.state == "stopped"


async def test_a_stream_that_expired_is_ended_all_the_same(office: Office, platform: SlackPlatform, asked: str) -> None:
    draft = await streaming(office, platform, asked, "You get ")
    office.slack.clock.advance(400)

    ids = await platform.deliver(delivery(office, asked), draft=draft)

    assert ids == [draft]
    assert shown(office, thread(office, asked)) == [TEXT]


async def test_a_stream_whose_message_is_gone_becomes_a_new_one(office: Office, platform: SlackPlatform, asked: str) -> None:
    draft = await streaming(office, platform, asked, "You get ")
    office.slack.delete(office.slack.message(office.general, draft))

    ids = await platform.deliver(delivery(office, asked), draft=draft)

    assert ids != [draft]
    assert shown(office, thread(office, asked)) == [TEXT]


async def test_a_long_answer_ends_its_stream_and_goes_on(office: Office, platform: SlackPlatform, asked: str) -> None:
    draft = await streaming(office, platform, asked, "A paragraph")

    ids = await platform.deliver(delivery(office, asked, LONG), draft=draft)

    assert ids[0] == draft
    assert len(ids) == len(thread(office, asked)) == 3


async def test_a_stream_is_ended_at_the_second_try(office: Office, platform: SlackPlatform, asked: str) -> None:
    draft = await streaming(office, platform, asked, "You get ")
    office.slack.faults.add(unavailable(), "chat.update", times=3)
    with pytest.raises(PlatformUnavailable):
        await platform.deliver(delivery(office, asked), draft=draft)

    ids = await platform.deliver(delivery(office, asked), draft=draft, is_retry=True)

    assert ids == [draft]
    assert shown(office, thread(office, asked)) == [TEXT]


async def test_a_stream_that_broke_off_with_its_process_is_ended_by_the_next(
    office: Office, database: Database, asked: str
) -> None:
    async with connected(office.slack, database) as first:
        draft = await streaming(office, first, asked, "You get ")

    async with connected(office.slack, database) as second:
        ids = await second.deliver(delivery(office, asked), is_retry=True)

    assert ids == [draft]
    assert shown(office, thread(office, asked)) == [TEXT]


async def test_somebody_elses_stream_is_left_alone(office: Office, platform: SlackPlatform, asked: str) -> None:
    other = await streaming(office, platform, asked, "Something else")

    ids = await platform.deliver(delivery(office, asked), is_retry=True)

    assert other not in ids
    assert office.slack.message(office.general, other).text == "Something else"


async def test_who_presses_stop_sees_no_more_until_the_answer_is_whole(
    office: Office, platform: SlackPlatform, asked: str
) -> None:
    posted: list[str] = []

    async def on_posted(id: str) -> None:
        posted.append(id)

    stream = await platform.open_stream(KEY, question(office, asked), on_posted)
    assert stream
    await office.ana.stop(office.general, asked)
    await office.slack.until(lambda: not office.slack.deliveries.open)
    await stream.append("You get ")

    ids = await platform.deliver(delivery(office, asked), draft=posted[0])

    assert office.slack.calls_of("chat.appendStream") == []
    assert ids == posted
    assert shown(office, thread(office, asked)) == [TEXT]


async def test_a_piece_that_cannot_be_shown_stops_the_stream_quietly(office: Office, platform: SlackPlatform, asked: str) -> None:
    office.slack.faults.add(refuses("message_not_in_streaming_state"), "chat.appendStream")

    await streaming(office, platform, asked, "You get ", "27 days.")

    assert len(office.slack.calls_of("chat.appendStream")) == 1


async def test_pieces_come_no_faster_than_slack_takes_them(office: Office, platform: SlackPlatform, asked: str) -> None:
    await streaming(office, platform, asked, *("word " for _ in range(50)))

    assert len(office.slack.calls_of("chat.appendStream")) <= 2


async def test_streams_stay_within_what_slack_grants_in_a_minute(office: Office, platform: SlackPlatform, asked: str) -> None:
    async def on_posted(id: str) -> None:
        pass

    opened = [await platform.open_stream(KEY, question(office, asked), on_posted) for _ in range(25)]

    assert len([stream for stream in opened if stream]) == 18


async def test_there_is_no_stream_where_slack_refuses_one(office: Office, platform: SlackPlatform, asked: str) -> None:
    async def on_posted(id: str) -> None:
        raise AssertionError

    office.slack.faults.add(unavailable(), "chat.startStream")

    assert await platform.open_stream(KEY, question(office, asked), on_posted) is None


# -- ornaments


async def test_a_mark_takes_the_place_of_the_one_before(office: Office, platform: SlackPlatform, asked: str) -> None:
    (ts,) = await platform.deliver(delivery(office, asked))
    ref = MessageRef(Place("slack", "T1", office.general, asked), ts)

    await platform.mark(ref, Mark.ESCALATED)
    escalated = list(office.slack.message(office.general, ts).reactions)
    await platform.mark(ref, Mark.RESOLVED)

    assert escalated == ["raising_hand"]
    assert list(office.slack.message(office.general, ts).reactions) == ["white_check_mark"]


async def test_the_asker_sees_that_the_answer_is_being_made(office: Office, platform: SlackPlatform, asked: str) -> None:
    await platform.show_working(question(office, asked))

    status = office.slack.world.status(office.general, asked)
    assert status
    assert "reading" in status.text


async def test_nothing_works_on_when_the_asker_alone_was_answered(office: Office, platform: SlackPlatform, asked: str) -> None:
    await platform.show_working(question(office, asked))

    await platform.deliver(delivery(office, asked, to=ANA))

    status = office.slack.world.status(office.general, asked)
    assert not status or not status.text


async def test_ornaments_never_fail(office: Office, platform: SlackPlatform, asked: str) -> None:
    office.slack.faults.add(unavailable(), times=None)

    await platform.show_working(question(office, asked))
    await platform.mark(MessageRef(Place("slack", "T1", office.general), asked), Mark.RESOLVED)

    assert await platform.name_of(PersonId("slack:T1:U99")) == "slack:T1:U99"


async def test_the_support_group_is_called_by_the_message_alone(office: Office, platform: SlackPlatform, asked: str) -> None:
    await platform.deliver(delivery(office, asked, reply=Reply(ReplyKind.NOTICE, "<!channel> help!", calls_support=True)))

    (message,) = thread(office, asked)
    assert reading.pings(message) == ["!subteam^S1"]
