"""What the Web API answers, through the real slack_sdk: meanings that a bot could get wrong, refusals, faults, limits."""

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.adapters.slack.bolt import a_client, error_of
from tests.adapters.slack.conftest import strict_slack
from tests.adapters.slack.office import Office
from tests.adapters.slack.reading import pings
from tests.adapters.slack.server import SlackServer
from tests.adapters.slack.state import Json

PLAIN = {"type": "plain_text", "text": "Text"}
HOME: Json = {"type": "home", "blocks": [{"type": "divider"}]}
MODAL: Json = {"type": "modal", "title": PLAIN, "blocks": [{"type": "divider"}]}


async def test_history_comes_in_pages_newest_first_without_threads(office: Office, client: AsyncWebClient) -> None:
    written = [await office.ana.say(office.general, f"Message {number}") for number in range(5)]
    await office.ben.say(office.general, "A reply", thread_ts=written[0])
    shared = await office.ben.broadcast(office.general, "A reply to all", thread_ts=written[0])

    first = await client.conversations_history(channel=office.general, limit=4)
    second = await client.conversations_history(channel=office.general, limit=4, cursor=first["response_metadata"]["next_cursor"])
    between = await client.conversations_history(channel=office.general, oldest=written[1], latest=written[3])

    assert [m["ts"] for m in first["messages"] + second["messages"]] == [shared, *written[::-1]]
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert second["response_metadata"]["next_cursor"] == ""
    assert [m["ts"] for m in between["messages"]] == [written[2]]
    assert second["messages"][-1]["reply_count"] == 2


async def test_a_thread_begins_with_its_first_message(office: Office, client: AsyncWebClient) -> None:
    ts = await office.ana.say(office.general, "Question")
    replies = [await office.ben.say(office.general, f"Reply {number}", thread_ts=ts) for number in range(3)]

    whole = await client.conversations_replies(channel=office.general, ts=ts)
    rest = await client.conversations_replies(channel=office.general, ts=ts, oldest=replies[1])

    assert [m["ts"] for m in whole["messages"]] == [ts, *replies]
    assert [m["ts"] for m in rest["messages"]] == [ts, replies[2]]
    assert whole["messages"][1]["parent_user_id"] == "U1"
    assert await error_of(client.conversations_replies(channel=office.general, ts="1.000001")) == "thread_not_found"


async def test_metadata_is_shown_only_when_asked_for(office: Office, client: AsyncWebClient) -> None:
    metadata = {"event_type": "timbre_reply", "event_payload": {"key": "k1", "part": 0}}
    await client.chat_postMessage(channel=office.general, text="Hello", metadata=metadata)

    plain = await client.conversations_history(channel=office.general)
    full = await client.conversations_history(channel=office.general, include_all_metadata=True)

    assert "metadata" not in plain["messages"][0]
    assert full["messages"][0]["metadata"] == metadata


async def test_what_the_app_cannot_see_does_not_exist_for_it(office: Office, client: AsyncWebClient) -> None:
    slack = office.slack
    secret = slack.add_channel("secret", office.ana, kind="private", with_app=False)
    open_one = slack.add_channel("open", office.ana, with_app=False)
    archived = slack.add_channel("old", office.ana, is_archived=True)
    slack.installations[0].scopes -= {"chat:write.public"}

    assert await error_of(client.chat_postMessage(channel=secret, text="Hello")) == "channel_not_found"
    assert await error_of(client.conversations_info(channel=secret)) == "channel_not_found"
    assert await error_of(client.conversations_history(channel=open_one)) == "not_in_channel"
    assert await error_of(client.chat_postMessage(channel=open_one, text="Hello")) == "not_in_channel"
    assert await error_of(client.chat_postMessage(channel=archived, text="Hello")) == "is_archived"
    assert (await client.conversations_join(channel=open_one))["channel"]["is_member"]
    assert (await client.chat_postMessage(channel=open_one, text="Hello"))["ok"]
    listed = await client.conversations_list(types="public_channel,private_channel", exclude_archived=True)
    assert {channel["name"] for channel in listed["channels"]} == {"general", "leads", "open"}


async def test_the_app_changes_and_deletes_only_its_own_messages(office: Office, client: AsyncWebClient) -> None:
    theirs = await office.ana.say(office.general, "Mine")
    own = (await client.chat_postMessage(channel=office.general, text="One", blocks=[{"type": "divider"}]))["ts"]

    await client.chat_update(channel=office.general, ts=own, text="Two")
    updated = office.slack.message(office.general, own)
    assert (updated.text, updated.blocks) == ("Two", [])
    assert await error_of(client.chat_update(channel=office.general, ts=theirs, text="Two")) == "cant_update_message"
    assert await error_of(client.chat_delete(channel=office.general, ts=theirs)) == "cant_delete_message"
    assert len(office.slack.take_problems()) == 2
    await client.chat_delete(channel=office.general, ts=own)
    assert await error_of(client.chat_update(channel=office.general, ts=own, text="3")) == "message_not_found"


async def test_people_and_groups_are_shown_with_what_they_are(office: Office, client: AsyncWebClient) -> None:
    slack = office.slack
    slack.world.add_workspace("T2", "Other")
    stranger = slack.add_person("Sam", team="T2")
    unknown = slack.add_person("Uma", team="T2")
    slack.add_channel("shared", office.ana, stranger, is_ext_shared=True)

    guest = (await client.users_info(user=office.guest.id))["user"]
    listed = await client.users_list(limit=3)
    rest = await client.users_list(limit=3, cursor=listed["response_metadata"]["next_cursor"])

    assert (guest["is_restricted"], guest["is_ultra_restricted"], guest["is_bot"]) == (True, True, False)
    assert (await client.users_info(user=stranger.id))["user"]["is_stranger"]
    assert await error_of(client.users_info(user=unknown.id)) == "user_not_found"
    assert len(listed["members"] + rest["members"]) == 5
    assert (await client.usergroups_users_list(usergroup=office.support))["users"] == ["U3"]
    assert (await client.usergroups_list(include_users=True))["usergroups"][0]["users"] == ["U3"]
    assert (await client.conversations_members(channel=office.leads))["members"] == ["U3", "U2", "U0TIMBRE1"]


async def test_an_ephemeral_message_is_seen_by_one_member_only(office: Office, client: AsyncWebClient) -> None:
    await client.chat_postEphemeral(channel=office.leads, user="U2", text="For you")

    assert [message.text for message in office.ben.ephemerals()] == ["For you"]
    assert office.slack.world.messages(office.leads) == []
    assert await error_of(client.chat_postEphemeral(channel=office.leads, user="U1", text="No")) == "user_not_in_channel"


async def test_a_stream_grows_and_ends(office: Office, client: AsyncWebClient) -> None:
    slack, channel = office.slack, office.general
    ts = await office.ana.say(channel, "Question")
    stream = await client.chat_stream(
        channel=channel, thread_ts=ts, recipient_team_id="T1", recipient_user_id="U1", buffer_size=1
    )
    await stream.append(markdown_text="**Half**")
    growing = slack.transcript(channel)
    assert await error_of(client.chat_update(channel=channel, ts=stream.ts or "", text="x")) == "streaming_state_conflict"
    await stream.stop(markdown_text=" and half", blocks=[{"type": "divider"}])

    message = slack.message(channel, stream.ts or "")
    assert "Timbre (still writing): Half" in growing
    assert slack.visible_text(message) == "Half and half\n---"
    again = client.chat_appendStream(channel=channel, ts=message.ts, markdown_text="!")
    assert await error_of(again) == "message_not_in_streaming_state"


async def test_a_stream_dies_of_age_and_when_somebody_stops_it(office: Office, client: AsyncWebClient) -> None:
    slack, channel = office.slack, office.general
    ts = await office.ana.say(channel, "Question")
    start = {"channel": channel, "thread_ts": ts, "recipient_team_id": "T1", "recipient_user_id": "U1"}
    old, stopped = [(await client.api_call("chat.startStream", json=start))["ts"] for _ in range(2)]

    await office.ana.stop(channel, ts)
    assert await error_of(client.chat_appendStream(channel=channel, ts=stopped, markdown_text="!")) == "stopped_by_user"
    slack.message(channel, old).stream.state = "open"  # type: ignore[union-attr]
    slack.clock.advance(301)
    assert await error_of(client.chat_stopStream(channel=channel, ts=old)) == "message_not_in_streaming_state"
    await client.chat_update(channel=channel, ts=old, text="The whole answer.")


async def test_a_stream_in_a_channel_needs_its_recipient(office: Office, client: AsyncWebClient) -> None:
    ts = await office.ana.say(office.general, "Question")
    direct = await office.ana.dm("Question")

    await client.chat_startStream(channel=office.ana.direct_channel, thread_ts=direct)
    call = client.chat_startStream(channel=office.general, thread_ts=ts)

    assert await error_of(call) == "missing_recipient_team_id"
    assert office.slack.take_problems() == ["chat.startStream in a channel lacks recipient_team_id."]


async def test_a_trigger_lives_three_seconds_and_opens_one_modal(office: Office, client: AsyncWebClient) -> None:
    handles = office.slack.handles
    first, second = handles.new_trigger("T1", "U1"), handles.new_trigger("T1", "U1")

    opened = await client.views_open(trigger_id=first, view=MODAL)
    assert await error_of(client.views_open(trigger_id=first, view=MODAL)) == "exchanged_trigger_id"
    office.slack.clock.advance(3.1)
    assert await error_of(client.views_open(trigger_id=second, view=MODAL)) == "expired_trigger_id"
    assert await error_of(client.views_open(trigger_id="made.up", view=MODAL)) == "invalid_trigger_id"
    changed = await client.views_update(view_id=opened["view"]["id"], hash=opened["view"]["hash"], view=MODAL)
    stale = client.views_update(view_id=opened["view"]["id"], hash=opened["view"]["hash"], view=MODAL)
    assert changed["view"]["hash"] != opened["view"]["hash"]
    assert await error_of(stale) == "hash_conflict"


async def test_home_prompts_status_and_session_are_kept(office: Office, client: AsyncWebClient) -> None:
    world, channel = office.slack.world, office.ana.direct_channel
    ts = await office.ana.dm("Question")

    await client.views_publish(user_id="U1", view=HOME)
    await client.assistant_threads_setSuggestedPrompts(channel_id=channel, prompts=[{"title": "Leave", "message": "How much?"}])
    await client.assistant_threads_setStatus(channel_id=channel, thread_ts=ts, status="is thinking", loading_messages=["Reading"])
    await client.agents_sessions_setStatus(channel_id=channel, thread_ts=ts, status="processing", title="Leave")
    status = world.status(channel, ts)
    await client.chat_postMessage(channel=channel, thread_ts=ts, text="Answer")

    assert office.ana.home
    assert world.prompts[channel, None].prompts[0]["title"] == "Leave"
    assert status and status.text == "is thinking"
    assert world.status(channel, ts) is None
    assert world.sessions[channel, ts] == {"title": "Leave", "status": "processing"}


async def test_direct_channels_are_opened_and_user_ids_mean_them(office: Office, client: AsyncWebClient) -> None:
    opened = (await client.conversations_open(users="U1"))["channel"]["id"]
    posted = (await client.chat_postMessage(channel="U1", text="Hello"))["channel"]
    group = (await client.conversations_open(users="U1,U2"))["channel"]["id"]

    assert opened == posted == office.ana.direct_channel
    assert office.slack.world.channels[group].kind == "mpim"


async def test_tokens_and_scopes_count(office: Office, client: AsyncWebClient) -> None:
    slack = office.slack
    stranger = a_client(slack, token="xoxb-nobody")
    assert await error_of(stranger.auth_test()) == "invalid_auth"
    slack.installations[0].scopes -= {"groups:history", "users:read.email"}

    with pytest.raises(SlackApiError) as refused:
        await client.conversations_history(channel=office.leads)

    assert refused.value.response["needed"] == "groups:history"
    assert slack.take_problems() == ["conversations.history lacks the scope groups:history."]
    assert "email" not in (await client.users_info(user="U1"))["user"]["profile"]
    slack.uninstall()
    assert await error_of(client.auth_test()) == "token_revoked"


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")  # slack_sdk 3.47 with aiohttp 3.14
async def test_a_second_workspace_has_its_own_token_and_people(office: Office) -> None:
    slack = office.slack
    code = slack.approve("T2", "Other", "U9")
    granted = await a_client(slack).oauth_v2_access(client_id="1.1", client_secret="client-secret", code=code)
    second = a_client(slack, token=granted["access_token"])

    assert (await second.auth_test())["team_id"] == "T2"
    assert await error_of(second.users_info(user="U1")) == "user_not_found"
    assert await error_of(second.chat_postMessage(channel=office.general, text="Hello")) == "channel_not_found"
    used = a_client(slack).oauth_v2_access(client_id="1.1", client_secret="client-secret", code=code)
    assert await error_of(used) == "invalid_code"


async def test_a_thread_is_named_by_its_first_message(office: Office, client: AsyncWebClient) -> None:
    ts = await office.ana.say(office.general, "Question")
    reply = await office.ben.say(office.general, "Reply", thread_ts=ts)

    posted = await client.chat_postMessage(channel=office.general, thread_ts=reply, text="Answer")

    assert posted["message"]["thread_ts"] == ts
    assert office.slack.take_problems() == [f"thread_ts {reply} is a reply's timestamp: use that of its thread, {ts}."]
    gone = client.chat_postMessage(channel=office.general, thread_ts="1.000001", text="Answer")
    assert await error_of(gone) == "thread_not_found"


async def test_what_is_no_json_is_refused(office: Office) -> None:
    headers = {"Authorization": f"Bearer {office.slack.bot_token}", "Content-Type": "application/json"}
    url = f"{office.slack.api_url}chat.postMessage"
    async with aiohttp.ClientSession() as session, session.post(url, data="{", headers=headers) as response:
        assert await response.json() == {"ok": False, "error": "invalid_json"}

    assert office.slack.take_problems() == ["chat.postMessage was sent what is neither JSON nor a form."]


async def test_a_test_whose_app_breaks_a_rule_fails() -> None:
    with pytest.raises(AssertionError, match="40001 characters"):
        async with strict_slack() as slack:
            channel = slack.add_channel("general")
            posted = await a_client(slack).chat_postMessage(channel=channel, text="x" * 40_001)
            assert len(posted["message"]["text"]) == 40_000


async def test_an_unknown_method_is_refused(office: Office, client: AsyncWebClient) -> None:
    assert await error_of(client.api_call("chat.shout")) == "unknown_method"
    assert office.slack.take_problems() == ["chat.shout is no method that this Slack knows."]


async def test_servers_do_not_know_of_each_other(office: Office) -> None:
    async with SlackServer() as other:
        assert other.url != office.slack.url
        assert await error_of(a_client(other).conversations_info(channel="C1")) == "channel_not_found"


async def test_a_ping_is_noticed_wherever_it_stands(office: Office, client: AsyncWebClient) -> None:
    posted = await client.chat_postMessage(channel=office.general, text="<!channel>")

    assert pings(office.slack.message(office.general, posted["ts"])) == ["!channel"]
