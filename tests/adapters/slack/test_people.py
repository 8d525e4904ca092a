"""Who people are in Slack, who sees a channel, and what was written there while nobody listened."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.slack.connection import SlackPlatform
from adapters.slack.people import read_user
from bot.errors import PlatformUnavailable
from bot.messages import Addressed, Delivery, DeliveryKey, IncomingMessage, PersonId, Place, Reply, ReplyKind, Viewers
from bot.storage.database import Database
from tests.adapters.slack.faults import rate_limited, rate_limited_with_200, refuses, unavailable
from tests.adapters.slack.office import Office
from tests.adapters.slack.running import Desk, connected

pytestmark = pytest.mark.slow


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def platform(office: Office, database: Database, desk: Desk) -> AsyncIterator[SlackPlatform]:
    async with connected(office.slack, database, desk) as platform:
        yield platform


def place(channel: str) -> Place:
    return Place("slack", "T1", channel)


def people(*users: str) -> frozenset[PersonId]:
    return frozenset(PersonId(f"slack:T1:{user}") for user in users)


# -- who sees it


async def test_anybody_may_come_into_a_public_channel(office: Office, platform: SlackPlatform) -> None:
    channel = office.slack.add_channel("handbook", office.ana, office.ben)

    assert await platform.viewers(place(channel)) == Viewers(is_open=True, has_outsiders=False)


async def test_a_guest_in_a_public_channel_is_an_outsider(office: Office, platform: SlackPlatform) -> None:
    assert await platform.viewers(place(office.general)) == Viewers(is_open=True, has_outsiders=True)


async def test_a_private_channel_has_its_people(office: Office, platform: SlackPlatform) -> None:
    bot = office.slack.add_person("Helper", bot_id="B9", app_id="A9")
    channel = office.slack.add_channel("closed", office.ana, office.carla, bot, kind="private")

    assert await platform.viewers(place(channel)) == Viewers(False, False, people("U1", "U3"))


async def test_a_direct_conversation_has_one_person(office: Office, platform: SlackPlatform) -> None:
    assert await platform.viewers(place(office.ana.direct_channel)) == Viewers(False, False, people("U1"))


async def test_several_people_write_directly(office: Office, platform: SlackPlatform) -> None:
    bot = office.slack.installation().bot_user
    group = office.slack.world.group_channel(["U1", "U2", bot]).id

    assert await platform.viewers(place(group)) == Viewers(False, False, people("U1", "U2"))


async def test_a_channel_shared_with_another_company_has_outsiders(office: Office, platform: SlackPlatform) -> None:
    channel = office.slack.add_channel("partners", office.ana, is_ext_shared=True)

    assert (await platform.viewers(place(channel))).has_outsiders


async def test_who_left_is_a_viewer_no_more_at_once(office: Office, platform: SlackPlatform) -> None:
    before = await platform.viewers(place(office.leads))
    await office.ben.leave(office.leads)
    await office.slack.until(lambda: not office.slack.deliveries.open)

    assert before.people == people("U2", "U3")
    assert (await platform.viewers(place(office.leads))).people == people("U3")


async def test_a_large_channel_takes_few_calls(office: Office, platform: SlackPlatform) -> None:
    crowd = [office.slack.add_person(f"Person {number}") for number in range(450)]
    channel = office.slack.add_channel("everybody", *crowd, kind="private")

    viewers = await platform.viewers(place(channel))
    again = await platform.viewers(place(channel))

    assert viewers == again
    assert len(viewers.people) == 450
    methods = ["conversations.info", "conversations.members", "users.list", "users.info"]
    assert [len(office.slack.calls_of(method)) for method in methods] == [1, 1, 1, 0]


@pytest.mark.parametrize("method", ["conversations.info", "conversations.members"])
async def test_who_cannot_be_seen_is_an_outsider(office: Office, platform: SlackPlatform, method: str) -> None:
    office.slack.faults.add(refuses("missing_scope"), method)

    assert await platform.viewers(place(office.leads)) == Viewers(is_open=False, has_outsiders=True)


@pytest.mark.parametrize("fault", [rate_limited(0), rate_limited_with_200(), unavailable(500), unavailable(503)])
async def test_a_short_trouble_is_waited_out(office: Office, platform: SlackPlatform, fault: Any) -> None:
    office.slack.faults.add(fault, "conversations.info")

    assert (await platform.viewers(place(office.leads))).people == people("U2", "U3")


async def test_a_long_trouble_is_told(office: Office, platform: SlackPlatform) -> None:
    office.slack.faults.add(rate_limited(60), "conversations.info")

    with pytest.raises(PlatformUnavailable) as caught:
        await platform.viewers(place(office.leads))
    assert caught.value.retry_after_s == 60


# -- who they are


@pytest.mark.parametrize(
    ("facts", "is_member"),
    [
        ({}, True),
        ({"team_id": "T1"}, True),
        ({"team_id": "T2"}, False),
        ({"team_id": "T2", "enterprise_user": {"teams": ["T1", "T2"]}}, True),
        ({"is_restricted": True}, False),
        ({"is_ultra_restricted": True}, False),
        ({"is_stranger": True}, False),
        ({"deleted": True}, False),
        ({"is_bot": True}, False),
    ],
)
def test_who_is_a_member(facts: dict[str, Any], is_member: bool) -> None:
    assert read_user(facts, "U1", "T1").is_member is is_member


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"name": "ana", "real_name": "Ana Alba", "profile": {"display_name": "ana.a", "real_name": "Ana Alba"}}, "ana.a"),
        ({"name": "ana", "profile": {"display_name": "", "real_name": "Ana Alba"}}, "Ana Alba"),
        ({"name": "ana"}, "ana"),
        ({}, "U1"),
    ],
)
def test_what_people_are_called(facts: dict[str, Any], name: str) -> None:
    assert read_user(facts, "U1", "T1").name == name


async def test_people_are_known_by_name_and_asked_for_once(office: Office, platform: SlackPlatform) -> None:
    names = [await platform.name_of(PersonId("slack:T1:U1")) for _ in range(3)]

    assert names == ["Ana Alba"] * 3
    assert len(office.slack.calls_of("users.info")) == 1


@pytest.mark.parametrize("error", ["user_not_found", "missing_scope"])
async def test_whom_slack_does_not_tell_of_is_no_member(office: Office, platform: SlackPlatform, desk: Desk, error: str) -> None:
    office.slack.faults.add(refuses(error), "users.info")
    await office.ana.say(office.general, "Hello?")
    await office.slack.until(lambda: not office.slack.deliveries.open)

    assert [message.author.is_member for message in desk.messages] == [False]


async def test_a_person_of_another_company_is_no_member(office: Office, platform: SlackPlatform, desk: Desk) -> None:
    office.slack.world.add_workspace("T2", "Other")
    tom = office.slack.add_person("Tom", team="T2")
    channel = office.slack.add_channel("partners", office.ana, tom, is_ext_shared=True)
    await tom.say(channel, f"{office.slack.mention} Hello?")
    await office.slack.until(lambda: not office.slack.deliveries.open)

    assert {(message.author.id, message.author.is_member) for message in desk.messages} == {(f"slack:T1:{tom.id}", False)}


# -- what was missed


async def missed(platform: SlackPlatform, channel: str, ago: timedelta = timedelta(hours=1)) -> list[IncomingMessage]:
    return list(await platform.missed(place(channel), datetime.now(UTC) - ago))


async def test_what_people_wrote_was_missed_in_threads_too(office: Office, platform: SlackPlatform) -> None:
    first = await office.ana.say(office.general, f"{office.slack.mention} one")
    reply = Delivery(DeliveryKey("k"), place(office.general), Reply(ReplyKind.ANSWER, "Two."), answers=first)
    await platform.deliver(reply)
    last_seen = await office.ben.say(office.general, "seen")
    mention = await office.ben.say(office.general, f"{office.slack.mention} how does <@U1> park?")
    follow_up = await office.ana.say(office.general, "three?", thread_ts=first)
    talk = await office.ana.say(office.general, "lunch?")
    in_thread = await office.ben.say(office.general, f"{office.slack.mention} lunch?", thread_ts=talk)

    found = await platform.missed(place(office.general), datetime.fromtimestamp(float(last_seen), UTC))

    assert [(message.id, message.addressed) for message in found] == [
        (mention, Addressed.MENTION),
        (follow_up, Addressed.THREAD),
        (talk, Addressed.CHANNEL),
        (in_thread, Addressed.MENTION),
    ]
    assert found[0].text == "how does @Ana Alba park?"
    assert found[1].place.thread == first


async def test_direct_messages_were_missed_in_their_order(office: Office, platform: SlackPlatform) -> None:
    sent = [await office.ana.dm(f"question {number}") for number in range(250)]

    found = await missed(platform, office.ana.direct_channel)

    assert [message.id for message in found] == sent
    assert found[0].addressed is Addressed.DIRECT


async def test_what_is_too_old_was_not_missed(office: Office, platform: SlackPlatform) -> None:
    await office.ana.dm("question")

    assert await missed(platform, office.ana.direct_channel, ago=timedelta(seconds=-5)) == []


async def test_where_the_bot_may_not_look_nothing_was_missed(office: Office, platform: SlackPlatform) -> None:
    office.slack.faults.add(refuses("not_in_channel"), "conversations.history")

    assert await missed(platform, office.general) == []
    assert await platform.missed(Place("slack", "T9", "C1"), datetime.now(UTC)) == []


async def test_the_bot_listens_where_it_is(office: Office, platform: SlackPlatform) -> None:
    office.slack.add_channel("elsewhere", office.ana, with_app=False)
    direct = office.ana.direct_channel

    assert {found.channel for found in await platform.places()} == {office.general, office.leads, direct}


async def test_a_question_is_answered_when_somebody_else_has_replied(office: Office, platform: SlackPlatform, desk: Desk) -> None:
    ts = await office.ana.say(office.general, "How many days?")
    await office.slack.until(lambda: desk.messages)
    await office.ana.say(office.general, "Anybody?", thread_ts=ts)
    before = await platform.is_answered(desk.messages[0])
    await office.ben.say(office.general, "27.", thread_ts=ts)

    assert not before
    assert await platform.is_answered(desk.messages[0])
