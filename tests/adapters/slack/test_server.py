"""The pretended Slack with the real slack-bolt as its client, over real sockets."""

from typing import Any

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp

from tests.adapters.slack.bolt import a_client, an_app, connected
from tests.adapters.slack.deliveries import Patience
from tests.adapters.slack.interactions import NotAcknowledged
from tests.adapters.slack.office import Office
from tests.adapters.slack.state import Impossible, Json

PLAIN = {"type": "plain_text", "text": "Text"}
MODAL: Json = {
    "type": "modal",
    "callback_id": "why",
    "title": PLAIN,
    "submit": PLAIN,
    "notify_on_close": True,
    "blocks": [
        {"type": "input", "block_id": "reason", "label": PLAIN, "element": {"type": "plain_text_input", "action_id": "typed"}}
    ],
}
BUTTON: Json = {
    "type": "actions",
    "elements": [{"type": "button", "action_id": "why", "value": "42", "text": {"type": "plain_text", "text": "Why?"}}],
}


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


async def test_a_press_opens_a_form_whose_submission_is_refused_then_taken(office: Office) -> None:
    slack, app = office.slack, an_app(office.slack)
    typed: list[str] = []

    @app.action("why")
    async def press(ack: Any, body: Json, client: Any) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view={**MODAL, "private_metadata": body["actions"][0]["value"]})

    @app.view("why")
    async def submitted(ack: Any, view: Json) -> None:
        typed.append(view["state"]["values"]["reason"]["typed"]["value"])
        if len(typed) == 1:
            await ack(response_action="errors", errors={"reason": "Say more."})
        else:
            await ack(response_action="update", view={**MODAL, "submit": None, "blocks": [{"type": "divider"}]})

    async with connected(slack, app):
        posted = await a_client(slack).chat_postMessage(channel=office.general, text="Pick", blocks=[BUTTON])
        await office.ana.click(slack.message(office.general, posted["ts"]), "why", "42")
        private_metadata = (await office.ana.see_modal()).body["private_metadata"]
        refused = await office.ana.submit({"reason": "no"})
        taken = await office.ana.submit({"typed": "because"})

    assert refused == {"response_action": "errors", "errors": {"reason": "Say more."}}
    assert taken["response_action"] == "update"
    assert typed == ["no", "because"]
    assert private_metadata == "42"
    assert office.ana.modal.body["blocks"][0]["type"] == "divider"


async def test_nobody_can_press_or_fill_in_what_is_not_there(office: Office) -> None:
    slack = office.slack
    posted = await a_client(slack).chat_postMessage(channel=office.leads, text="Pick", blocks=[BUTTON])
    message = slack.message(office.leads, posted["ts"])

    with pytest.raises(Impossible, match="action id other"):
        await office.ben.click(message, "other")
    with pytest.raises(Impossible, match="does not offer"):
        await office.ben.click(message, "why", "43")
    with pytest.raises(Impossible, match="does not see"):
        await office.ana.click(message, "why")
    with pytest.raises(Impossible, match="no modal"):
        await office.ana.submit()
    with pytest.raises(Impossible, match="is not in"):
        await office.ana.say(office.leads, "Hello")


async def test_a_press_that_nobody_acknowledges_fails(office: Office) -> None:
    posted = await a_client(office.slack).chat_postMessage(channel=office.general, text="Pick", blocks=[BUTTON])

    with pytest.raises(NotAcknowledged):
        await office.ana.click(office.slack.message(office.general, posted["ts"]), "why")


async def test_a_command_is_answered_privately_and_its_response_url_works_five_times(office: Office) -> None:
    slack, app = office.slack, an_app(office.slack)
    urls: list[str] = []

    @app.command("/ask")
    async def asked(ack: Any, command: Json) -> None:
        urls.append(command["response_url"])
        await ack("One moment.")

    async with connected(slack, app), aiohttp.ClientSession() as session:
        assert await office.ana.slash("/ask", "How many?", office.general) == {"text": "One moment."}
        statuses = []
        for number in range(6):
            async with session.post(urls[0], json={"text": f"{number}", "response_type": "in_channel"}) as response:
                statuses.append(response.status)

    assert [slack.visible_text(message) for message in office.ana.ephemerals()] == ["One moment."]
    assert office.ben.ephemerals() == []
    assert statuses == [200] * 5 + [404]
    assert len(slack.world.timeline(office.general)) == 5


async def test_a_response_url_replaces_and_deletes_what_was_pressed(office: Office) -> None:
    slack, app = office.slack, an_app(office.slack)

    @app.action("why")
    async def press(ack: Any, respond: Any) -> None:
        await ack()
        await respond(text="Because.", replace_original=True)

    @app.shortcut("forget")
    async def forget(ack: Any, respond: Any) -> None:
        await ack()
        await respond(delete_original=True)

    async with connected(slack, app):
        await a_client(slack).chat_postEphemeral(channel=office.general, user="U1", text="Pick", blocks=[BUTTON])
        [shown] = office.ana.ephemerals()
        await office.ana.click(shown, "why")
        await slack.until(lambda: slack.visible_text(shown) == "Because.")
        await office.ana.message_shortcut(shown, "forget")
        await slack.until(lambda: not office.ana.ephemerals())


async def test_a_transcript_shows_what_people_see(office: Office) -> None:
    slack, client = office.slack, a_client(office.slack)
    ts = await office.ana.say(office.general, f"{slack.mention} What is 1 < 2 & 3?")
    await client.assistant_threads_setStatus(channel_id=office.general, thread_ts=ts, status="is thinking")
    thinking = slack.transcript(office.general)
    await client.chat_postMessage(
        channel=office.general, thread_ts=ts, text="True", blocks=[{"type": "markdown", "text": "**True**\n\nAsk <@U3>."}, BUTTON]
    )
    await client.chat_postEphemeral(channel=office.general, thread_ts=ts, user="U1", text="Rate me")

    assert thinking == "== #general ==\nAna Alba: @Timbre What is 1 < 2 & 3?\n    (Timbre is thinking)"
    assert slack.transcript(office.general).split("\n") == [
        "== #general ==",
        "Ana Alba: @Timbre What is 1 < 2 & 3?",
        "    Timbre: True",
        "            ",
        "            Ask @Carla Cruz.",
        "            [Why?]",
        "    Timbre (only Ana Alba sees this): Rate me",
    ]
    assert "Rate me" not in office.ben.transcript(office.general)
