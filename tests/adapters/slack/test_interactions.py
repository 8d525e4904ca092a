"""Presses, forms, commands and shortcuts, with the real slack-bolt at the other end; and what people see of it."""

from typing import Any

import aiohttp
import pytest

from tests.adapters.slack.bolt import a_client, an_app, connected
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
