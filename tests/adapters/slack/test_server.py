"""The pretended Slack with the real slack-bolt as its client, over real sockets."""

from typing import Any

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError

from tests.adapters.slack.bolt import a_client, an_app, connected
from tests.adapters.slack.deliveries import Patience
from tests.adapters.slack.office import Office, furnish
from tests.adapters.slack.server import SlackServer
from tests.adapters.slack.state import Impossible, Json


def echo(office: Office, seen: list[tuple[str, str]]) -> AsyncApp:
    """Answers each mention and DM with "Noted.", in its thread; notes every event with the id it came under."""
    app = an_app(office.slack)

    async def note(event: Json, body: Json) -> None:
        seen.append((event.get("subtype") or event["type"], body["event_id"]))

    async def answer(event: Json, say: Any, body: Json) -> None:
        await note(event, body)
        if event["type"] == "app_mention" or (event.get("channel_type") == "im" and not event.get("subtype")):
            await say(text="Noted.", thread_ts=event["ts"])

    app.event("app_mention")(answer)
    app.event("message")(answer)
    for kind in ("reaction_added", "member_joined_channel", "app_home_opened", "agent_session_stopped", "app_context_changed"):
        app.event(kind)(note)
    return app


async def test_a_mention_arrives_twice_under_two_event_ids_and_is_acknowledged(office: Office) -> None:
    seen: list[tuple[str, str]] = []
    async with connected(office.slack, echo(office, seen)):
        ts = await office.ana.say(office.general, f"{office.slack.mention} How many days?")
        answer = await office.slack.answer_to(office.general, ts)

    entry = office.slack.ledger()[office.general, ts]
    assert sorted(kind for kind, _ in seen) == ["app_mention", "message"]
    assert len({event_id for _, event_id in seen}) == 2
    assert [delivery.acked_at is not None for delivery in entry.deliveries] == [True, True]
    assert answer.thread_ts == ts
    assert office.slack.visible_text(answer) == "Noted."


async def test_a_direct_message_arrives_once_and_channels_without_the_app_not_at_all(office: Office) -> None:
    seen: list[tuple[str, str]] = []
    elsewhere = office.slack.add_channel("elsewhere", office.ana, with_app=False)
    async with connected(office.slack, echo(office, seen)):
        await office.ana.say(elsewhere, f"{office.slack.mention} Are you here?")
        ts = await office.ana.dm("Hello")
        await office.slack.answer_to(office.ana.direct_channel, ts)

    assert [kind for kind, _ in seen] == ["message"]
    assert office.slack.ledger().lost == []


async def test_many_mentions_are_each_answered_once(office: Office) -> None:
    async with connected(office.slack, echo(office, []), sockets=2):
        for number in range(20):
            await office.ana.say(office.general, f"{office.slack.mention} Question {number}")
        await office.slack.until(lambda: not office.slack.ledger().lost)

    ledger = office.slack.ledger()
    carriers = {attempt.carried_by for delivery in office.slack.deliveries.all for attempt in delivery.attempts}
    assert len(ledger.addressed) == 20
    assert (ledger.lost, ledger.doubled, ledger.unacknowledged) == ([], [], [])
    assert carriers == {"socket-1", "socket-2"}


async def test_the_ledger_tells_what_was_lost_and_what_was_doubled(office: Office) -> None:
    client = a_client(office.slack)

    first = await office.ana.say(office.general, f"{office.slack.mention} One?")
    second = await office.ana.say(office.general, "Two?", thread_ts=first)
    third = await office.ana.say(office.general, f"{office.slack.mention} Three?")
    for text in ("to one", "to two", "to two again"):
        await client.chat_postMessage(channel=office.general, text=text, thread_ts=first)

    ledger = office.slack.ledger()
    assert [entry.ts for entry in ledger.lost] == [third]
    assert [entry.ts for entry in ledger.doubled] == [second]
    assert [entry.ts for entry in ledger.unacknowledged] == [first, second, third]


async def test_people_change_delete_react_join_and_share(office: Office) -> None:
    seen: list[tuple[str, str]] = []
    slack, channel = office.slack, office.general
    async with connected(slack, echo(office, seen)):
        ts = await office.ana.say(channel, "Hello")
        await office.ana.edit(channel, ts, "Hello all")
        await office.ben.react(channel, ts, "tada")
        await office.ben.broadcast(channel, "To all", thread_ts=ts)
        await office.ana.share_file(channel, "plan.pdf")
        await slack.add_person("Dora").join(channel)
        await office.ana.open_home("messages")
        await office.ana.look_at(channel)
        await office.ana.stop(channel, ts)
        await office.ana.delete(channel, ts)
        await slack.until(lambda: not slack.deliveries.open)
        await slack.until(lambda: len(seen) == 10)

    assert sorted(kind for kind, _ in seen) == [
        *("agent_session_stopped", "app_context_changed", "app_home_opened", "file_share", "member_joined_channel", "message"),
        *("message_changed", "message_deleted", "reaction_added", "thread_broadcast"),
    ]


async def test_another_bot_is_heard_and_is_no_person(office: Office) -> None:
    seen: list[tuple[str, str]] = []
    slack = office.slack
    other = slack.add_person("Deploys", bot_id="B9", app_id="A9")
    async with connected(slack, echo(office, seen)):
        await other.join(office.general)
        await other.say(office.general, f"{slack.mention} Deployed.", subtype="bot_message")
        await slack.until(lambda: len(seen) == 3)

    sent = [delivery.payload["event"] for delivery in slack.deliveries.all if delivery.event_type == "message"]
    assert [(event["subtype"], event["bot_id"]) for event in sent if event["user"] == other.id] == [("bot_message", "B9")]
    assert slack.ledger().entries == {}


async def test_an_edit_that_adds_the_mention_is_a_mention(office: Office) -> None:
    seen: list[tuple[str, str]] = []
    async with connected(office.slack, echo(office, seen)):
        ts = await office.ana.say(office.general, "How many days?")
        await office.ana.edit(office.general, ts, f"{office.slack.mention} How many days?")
        await office.ana.edit(office.general, ts, f"{office.slack.mention} How many days are there?")
        await office.slack.until(lambda: len(seen) == 4)

    assert sorted(kind for kind, _ in seen) == ["app_mention", "message", "message_changed", "message_changed"]


async def test_a_manifest_decides_what_the_app_hears_and_may_do() -> None:
    manifest = {
        "features": {
            "bot_user": {"display_name": "Oracle"},
            "slash_commands": [{"command": "/ask"}],
            "shortcuts": [{"callback_id": "flag"}],
        },
        "oauth_config": {"scopes": {"bot": ["im:history", "channels:history"]}},
        "settings": {"event_subscriptions": {"bot_events": ["message.im", "app_mention"]}},
    }
    async with SlackServer(manifest=manifest) as slack:
        office = furnish(slack)
        await office.ana.say(office.general, f"{slack.mention} Hello")
        await office.ana.dm("Hello")
        with pytest.raises(SlackApiError):
            await a_client(slack).chat_postMessage(channel=office.general, text="Hello")
        with pytest.raises(Impossible, match="no command"):
            await office.ana.slash("/tell")
        with pytest.raises(Impossible, match="no shortcut"):
            await office.ana.global_shortcut("praise")

    assert [delivery.payload["event"]["channel_type"] for delivery in slack.deliveries.all] == ["im"]
    assert slack.problems == ["chat.postMessage lacks the scope chat:write."]
    assert slack.name_of("U0TIMBRE1") == "Oracle"


async def test_an_event_is_repeated_until_it_is_acknowledged(office: Office) -> None:
    slack = office.slack
    tries: list[tuple[int, str]] = []
    async with aiohttp.ClientSession() as session:
        opened = await a_client(slack).apps_connections_open(app_token=slack.app_token)
        async with session.ws_connect(opened["url"]) as socket:
            assert (await socket.receive_json())["type"] == "hello"
            await office.ana.say(office.general, "Hello")
            slack.deliveries.patience = Patience(ack_within_s=0.02, retries_s=(0.01, 0.01, 0.01))
            await office.ana.say(office.general, "Hello?")
            for _ in range(4):
                frame = await socket.receive_json()
                while frame["payload"]["event"]["text"] == "Hello":
                    frame = await socket.receive_json()
                tries.append((frame["retry_attempt"], frame["retry_reason"]))
            await socket.send_json({"envelope_id": frame["envelope_id"]})
            delivery = slack.deliveries.all[1]
            await slack.until(lambda: delivery.acked_at)

    assert tries == [(0, ""), (1, "timeout"), (2, "timeout"), (3, "timeout")]
    assert len(delivery.attempts) == 4


async def test_an_event_that_nobody_acknowledges_is_given_up_after_the_third_repetition(office: Office) -> None:
    slack = office.slack
    slack.deliveries.patience = Patience(ack_within_s=0.01, retries_s=(0.01, 0.01, 0.01))
    async with aiohttp.ClientSession() as session:
        opened = await a_client(slack).apps_connections_open(app_token=slack.app_token)
        async with session.ws_connect(opened["url"]):
            await office.ana.say(office.general, "Hello?")
            await slack.until(lambda: not slack.deliveries.open)

    assert len(slack.deliveries.all[0].attempts) == 4
    assert slack.deliveries.all[0].given_up_at is not None


async def test_events_wait_while_no_socket_is_open_and_are_marked_as_repeated(office: Office) -> None:
    slack = office.slack
    ts = await office.ana.say(office.general, f"{slack.mention} Are you there?")
    async with connected(slack, echo(office, [])):
        await slack.answer_to(office.general, ts)

    assert [attempt.carried_by for attempt in slack.deliveries.all[0].attempts] == [None, "socket-1"]


async def test_events_that_waited_too_long_are_lost(office: Office) -> None:
    slack = office.slack
    seen: list[tuple[str, str]] = []
    await office.ana.say(office.general, f"{slack.mention} Are you there?")
    slack.clock.advance(400)
    async with connected(slack, echo(office, seen)):
        await office.ana.dm("Hello")
        await slack.until(lambda: not slack.deliveries.open)

    assert len(seen) == 1
    assert [delivery.given_up_at is not None for delivery in slack.deliveries.all[:2]] == [True, True]


@pytest.mark.parametrize("fault", ["disconnect", "cut", "deafen"])
@pytest.mark.slow
async def test_after_a_lost_connection_nothing_is_lost(office: Office, fault: str) -> None:
    slack = office.slack
    async with connected(slack, echo(office, [])) as [handler]:
        getattr(slack.sockets, fault)()
        ts = await office.ana.say(office.general, f"{slack.mention} Still there?")
        if fault != "disconnect":  # slack_sdk asks for no new address by itself: its ticket was used
            handler.client.wss_uri = None
        await slack.answer_to(office.general, ts, within_s=20)

    assert slack.sockets.opened > 1
    assert slack.ledger().lost == []


async def test_a_ticket_opens_one_socket_once(office: Office) -> None:
    slack = office.slack
    async with aiohttp.ClientSession() as session:
        url = (await a_client(slack).apps_connections_open(app_token=slack.app_token))["url"]
        stale = (await a_client(slack).apps_connections_open(app_token=slack.app_token))["url"]
        async with session.ws_connect(url):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(url)
        slack.sockets.expire_tickets()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(stale)
        slack.sockets.refuse_next = 1
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect((await a_client(slack).apps_connections_open(app_token=slack.app_token))["url"])

    assert (slack.sockets.opened, slack.sockets.refused) == (1, 3)
