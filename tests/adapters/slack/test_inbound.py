"""What Slack sends, as values of ours: its captured payloads one by one, and what people write."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.inbound import (
    Actor,
    Asking,
    MembersChanged,
    Opened,
    Picked,
    Post,
    Press,
    Reaction,
    Removed,
    Slash,
    Stopped,
    Submitted,
    command_of,
    mentioned,
    message_of,
    place_note,
    question_of,
    read_action,
    read_command,
    read_event,
    read_post,
    read_shortcut,
    read_submission,
    readable,
)
from bot.messages import Addressed, Command, Control, MessageRef, Person, PersonId, Place
from tests.adapters.slack.reference import AUTHORITY

BOT = "UBOT"
TS = "1732000000.000100"
ANA = Person(PersonId("slack:T1:U1"), "Ana", True)
EVENTS = sorted((AUTHORITY / "event-samples").glob("*.json"))
INTERACTIONS = sorted((AUTHORITY / "interaction-samples").glob("*.json"))
Json = dict[str, Any]

needs_samples = pytest.mark.skipif(not EVENTS, reason="Slack's captured payloads are not beside this checkout (../shared).")


def sample(path: Path, **event: object) -> Json:
    """A captured payload; its values were blanked, so that those which matter are filled in."""
    body: Json = json.loads(path.read_text())
    body |= {"team_id": "T1", "authorizations": [{"team_id": "T1", "user_id": BOT, "is_bot": True}]}
    if isinstance(body.get("event"), dict):
        blank = {name: "" for name, value in body["event"].items() if name in ("bot_id", "subtype", "app_id") and not value}
        body["event"] |= {"channel": "C1", "user": "U1", "ts": TS, "text": "Hello?", "edited": None, **blank, **event}
    return body


def event(kind: str = "message", **fields: Any) -> Json:
    return {
        "team_id": "T1",
        "type": "event_callback",
        "event": {"type": kind, "channel": "C1", "user": "U1", "ts": TS, "text": "Hello?", **fields},
    }


def post(**fields: Any) -> Post:
    found = read_event(event(**fields), BOT)
    assert isinstance(found, Post)
    return found


@needs_samples
@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_a_captured_event_as_it_is_means_nothing_and_breaks_nothing(path: Path) -> None:
    assert read_event(json.loads(path.read_text()), BOT) is None


EXPECTED: dict[str, type | None] = {
    "AppMentionPayload": Post,
    "MessagePayload": Post,
    "MessageFileSharePayload": Post,
    "MessageThreadBroadcastPayload": Post,
    "ReactionAddedPayload": Reaction,
    "ReactionRemovedPayload": Reaction,
    "AppHomeOpenedPayload": Opened,
    "MemberJoinedChannelPayload": MembersChanged,
    "MemberLeftChannelPayload": MembersChanged,
    "AppUninstalledPayload": Removed,
    "TokensRevokedPayload": Removed,
}
SUBTYPES = {
    "MessageBotPayload": "bot_message",
    "MessageChangedPayload": "message_changed",
    "MessageDeletedPayload": "message_deleted",
    "MessageFileSharePayload": "file_share",
    "MessageThreadBroadcastPayload": "thread_broadcast",
    "MessageMePayload": "me_message",
    "MessageRepliedPayload": "message_replied",
    "MessageChannelJoinPayload": "channel_join",
    "MessageChannelLeavePayload": "channel_leave",
    "MessageChannelTopicPayload": "channel_topic",
    "MessageChannelPurposePayload": "channel_purpose",
    "MessageChannelNamePayload": "channel_name",
    "MessageChannelArchivePayload": "channel_archive",
    "MessageChannelUnarchivePayload": "channel_unarchive",
    "MessageGroupTopicPayload": "group_topic",
    "MessageEkmAccessDeniedPayload": "ekm_access_denied",
    "MessageChannelPostingPermissionsPayload": "channel_posting_permissions",
}


@needs_samples
@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_a_captured_event_is_what_it_is(path: Path) -> None:
    body = sample(path)
    kind = {"AppMentionPayload": "app_mention"}.get(path.stem) or body["event"].get("type")
    if path.stem.startswith("Message"):
        kind, body["event"]["subtype"] = "message", SUBTYPES.get(path.stem, "")
    if path.stem.startswith("Reaction"):
        body["event"]["item"] = {"type": "message", "channel": "C1", "ts": TS}
    if path.stem == "TokensRevokedPayload":
        body["event"]["tokens"] = {"oauth": [], "bot": [BOT]}
    body["event"]["type"] = kind
    expected = EXPECTED.get(path.stem)

    found = read_event(body, BOT)

    assert (type(found) if found else None) is expected


@needs_samples
@pytest.mark.parametrize("path", INTERACTIONS, ids=lambda path: path.stem)
def test_a_captured_interaction_as_it_is_breaks_nothing(path: Path) -> None:
    body = json.loads(path.read_text())

    for read in (read_action, read_shortcut, read_command, read_submission):
        found = read(body)
        assert found is None or found.actor.user == ""


# -- messages


def test_the_two_events_of_one_mention_have_one_key() -> None:
    text = f"<@{BOT}> How many days?"

    found = [message_of(post(kind=kind, text=text), ANA, {}, BOT) for kind in ("app_mention", "message")]

    assert found[0] == found[1]
    assert found[0].key == f"slack:T1:C1:{TS}"
    assert found[0].addressed is Addressed.MENTION
    assert found[0].text == "How many days?"
    assert found[0].sent_at == datetime(2024, 11, 19, 7, 6, 40, 100, UTC)


@pytest.mark.parametrize(
    ("fields", "addressed", "thread"),
    [
        ({"channel_type": "im", "channel": "D1"}, Addressed.DIRECT, ""),
        ({"channel_type": "im", "channel": "D1", "thread_ts": "1.2"}, Addressed.DIRECT, "1.2"),
        ({}, Addressed.CHANNEL, ""),
        ({"thread_ts": TS}, Addressed.CHANNEL, ""),
        ({"thread_ts": "1.2"}, Addressed.THREAD, "1.2"),
        ({"thread_ts": "1.2", "text": f"<@{BOT}> so?"}, Addressed.MENTION, "1.2"),
        ({"text": f"what does <@{BOT}|timbre> say?"}, Addressed.MENTION, ""),
        ({"text": "what does <@UBOTTLE> say?"}, Addressed.CHANNEL, ""),
        ({"channel_type": "mpim", "channel": "G1"}, Addressed.CHANNEL, ""),
        ({"subtype": "file_share", "text": f"<@{BOT}>"}, Addressed.MENTION, ""),
    ],
)
def test_to_whom_a_message_is_addressed(fields: Json, addressed: Addressed, thread: str) -> None:
    found = post(**fields)

    assert (found.addressed, found.thread) == (addressed, thread)


@pytest.mark.parametrize(
    "fields",
    [
        {"bot_id": "B1"},
        {"user": BOT},
        {"user": ""},
        {"subtype": "message_changed"},
        {"subtype": "channel_join"},
        {"subtype": "message_deleted", "hidden": True},
        {"kind": "app_mention", "edited": {"user": "U1", "ts": "2.2"}},
        {"ts": "abc"},
        {"ts": "１７３２０００.1"},
        {"ts": "-1.0"},
        {"ts": None},
        {"channel": ""},
        {"text": " "},
        {"text": None},
        {"text": ["Hello"]},
        {"user": {"id": "U1"}},
    ],
)
def test_what_is_no_message_of_a_person_is_left_out(fields: Json) -> None:
    assert read_event(event(**fields), BOT) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"<@{BOT}> hello", "hello"),
        (f"<@{BOT}>: hello", "hello"),
        (f"hello <@{BOT}>, how many?", "hello how many?"),
        (f"<@{BOT}>", ""),
        ("ask <@U2> or <@U3|carla> or <@U9>", "ask @Ben or @carla or @U9"),
        ("in <#C1|general> or <#C2>", "in #general or #C2"),
        ("<!here> <!channel|channel> <!subteam^S1|@support> <!subteam^S1>", "@here @channel @support @subteam"),
        ("see <https://example.com/a?b=1&amp;c=2>", "see https://example.com/a?b=1&c=2"),
        ("see <https://example.com|the page>", "see the page"),
        ("mail <mailto:a@example.com|a@example.com>", "mail a@example.com"),
        ("<!date^1392734382^{date}|Feb 18>", "Feb 18"),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
        ("&amp;lt;!channel&amp;gt;", "&lt;!channel&gt;"),
    ],
)
def test_text_is_as_people_read_it(text: str, expected: str) -> None:
    assert readable(text, {"U2": "Ben"}, BOT) == expected


def test_the_people_that_a_text_names_are_known() -> None:
    assert mentioned("<@U1> and <@W2|w> and <!channel> and <@u3>") == {"U1", "W2"}


@pytest.mark.parametrize(
    ("fields", "is_stranger"),
    [
        ({}, False),
        ({"user_team": "T1", "source_team": "T1"}, False),
        ({"user_team": "T2"}, True),
        ({"source_team": "T2"}, True),
        ({"user_team": "E1"}, False),  # an organisation of several workspaces
    ],
)
def test_people_of_other_companies_are_known_by_their_team(fields: Json, is_stranger: bool) -> None:
    assert post(**fields).author == Actor("T1", "U1", is_stranger)


def test_the_workspace_is_that_of_the_installation_that_was_told() -> None:
    body = event() | {"team_id": "T2", "authorizations": [{"team_id": "T1", "user_id": BOT}]}

    found = read_event(body, BOT)

    assert isinstance(found, Post)
    assert found.author.workspace == "T1"


def test_a_message_of_the_history_is_read_like_that_of_an_event() -> None:
    found = read_post({"type": "message", "user": "U1", "text": "Hello?", "ts": TS}, "T1", BOT, "D1")

    assert found
    assert found.addressed is Addressed.DIRECT
    assert found.place == Place("slack", "T1", "D1")


def test_a_message_of_the_history_may_have_been_corrected_since() -> None:
    assert read_post({"user": "U1", "text": "Hello?", "ts": TS, "edited": {"user": "U1", "ts": "2.2"}}, "T1", BOT, "C1")


# -- what else happens


def test_a_reaction_has_no_skin() -> None:
    item = {"type": "message", "channel": "C1", "ts": TS}

    found = read_event(event("reaction_added", reaction="+1::skin-tone-3", item=item), BOT)

    assert found == Reaction(Actor("T1", "U1"), MessageRef(Place("slack", "T1", "C1"), TS), "+1", True)


def test_our_own_reactions_and_those_to_files_are_left_out() -> None:
    item = {"type": "message", "channel": "C1", "ts": TS}

    assert read_event(event("reaction_added", user=BOT, reaction="eyes", item=item), BOT) is None
    assert read_event(event("reaction_added", reaction="eyes", item={"type": "file"}), BOT) is None


def test_the_other_things_that_happen() -> None:
    assert read_event(event("app_home_opened", tab="messages", channel="D1"), BOT) == Opened(Actor("T1", "U1"), "D1", "messages")
    assert read_event(event("agent_session_stopped", thread_ts="1.2"), BOT) == Stopped("C1", "1.2")
    assert read_event(event("member_joined_channel"), BOT) == MembersChanged("T1", "C1")
    assert read_event(event("tokens_revoked", tokens={"oauth": ["U1"], "bot": []}), BOT) is None


# -- interactions

INTERACTION: Json = {
    "team": {"id": "T1"},
    "user": {"id": "U1", "team_id": "T1"},
    "trigger_id": "trigger",
    "response_url": "https://hooks.example/1",
}
ASKING = Asking("trigger", "https://hooks.example/1")


def test_a_button_in_a_thread() -> None:
    container = {"type": "message", "message_ts": TS, "channel_id": "C1", "thread_ts": "1.2"}
    action = {"action_id": "timbre:rating:e1", "value": "timbre:not_helpful:e1", "type": "feedback_buttons"}

    found = read_action(INTERACTION | {"container": container, "actions": [action]})

    message = MessageRef(Place("slack", "T1", "C1", "1.2"), TS)
    assert found == Press(Actor("T1", "U1"), message, Control.NOT_HELPFUL, "e1", ASKING)


def test_a_button_on_the_start_page_hangs_on_no_message() -> None:
    action = {"action_id": "timbre:ask:Where do I park: here?", "value": "timbre:ask:Where do I park: here?"}

    found = read_action(INTERACTION | {"container": {"type": "view", "view_id": "V1"}, "actions": [action]})

    assert found
    assert (found.message.id, found.control, found.subject) == ("", Control.ASK, "Where do I park: here?")


@pytest.mark.parametrize("value", ["", "other:helpful:e1", "timbre:dance:e1", "timbre"])
def test_a_button_that_is_none_of_ours_means_nothing(value: str) -> None:
    assert read_action(INTERACTION | {"actions": [{"action_id": "x", "value": value}]}) is None


def test_an_entry_of_a_messages_menu() -> None:
    message = {"ts": TS, "text": "It is <@U2>", "user": "U2", "thread_ts": "1.2"}
    body = {"callback_id": "timbre:capture", "message_ts": TS, "channel": {"id": "C1"}, "message": message}

    found = read_shortcut(INTERACTION | body)

    ref = MessageRef(Place("slack", "T1", "C1", "1.2"), TS)
    assert found == Picked(Actor("T1", "U1"), ref, "timbre:capture", "It is <@U2>", ASKING)


SLASH: Json = {
    "team_id": "T1",
    "channel_id": "C1",
    "user_id": "U1",
    "command": "/ask",
    "text": "How does <@U2|ben> &amp; co. park?",
    "trigger_id": "trigger",
    "response_url": "https://hooks.example/1",
}


def test_a_question_by_command_has_a_key_and_a_conversation_of_its_own() -> None:
    slash = read_command(SLASH)
    assert slash
    now = datetime(2026, 11, 21, tzinfo=UTC)

    question = question_of(slash, ANA, {"U2": "Ben"}, now)

    assert (question.text, question.addressed) == ("How does @Ben & co. park?", Addressed.COMMAND)
    assert question.handle == {"response_url": "https://hooks.example/1", "until": "2026-11-21T00:25:00+00:00"}
    assert question.answer_place == Place("slack", "T1", "C1")
    assert question.key == "slack:T1:C1:trigger"


def test_people_in_commands_become_their_ids() -> None:
    slash = read_command(SLASH | {"command": "/timbre", "text": "roles grant <@U2|ben> support"})
    assert isinstance(slash, Slash)

    assert command_of(slash, ANA) == Command(ANA, Place("slack", "T1", "C1"), "roles grant slack:T1:U2 support")


def test_a_form_that_is_filled_in() -> None:
    values = {
        "reason": {"value": {"type": "radio_buttons", "selected_option": {"value": "wrong"}}},
        "comment": {"value": {"type": "plain_text_input", "value": None}},
        "kind": {"value": {"type": "static_select", "selected_option": None}},
    }
    view = {
        "callback_id": "timbre:not_helpful:e1",
        "private_metadata": place_note(Place("slack", "T1", "C1", "1.2")),
        "state": {"values": values},
        "blocks": [{"type": "input", "block_id": "reason"}, {"type": "section", "block_id": "x"}],
    }

    found = read_submission(INTERACTION | {"view": view})

    place = Place("slack", "T1", "C1", "1.2")
    filled = {"reason": "wrong", "comment": "", "kind": ""}
    assert found == Submitted(Actor("T1", "U1"), place, Control.NOT_HELPFUL, "e1", filled, ("reason",))


def test_a_stranger_who_presses_is_known_by_their_team() -> None:
    action = {"value": "timbre:helpful:e1"}

    found = read_action(INTERACTION | {"user": {"id": "U1", "team_id": "T2"}, "actions": [action]})

    assert found
    assert found.actor == Actor("T1", "U1", is_stranger=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3), max_leaves=4
)


@given(
    st.dictionaries(st.sampled_from(["channel", "user", "ts", "text", "thread_ts", "item", "tokens", "edited", "subtype"]), JSON),
    st.sampled_from(["message", "app_mention", "reaction_added", "app_home_opened", "tokens_revoked"]),
)
def test_no_shape_of_an_event_breaks_it(fields: Json, kind: str) -> None:
    read_event(event(kind) | {"event": {"type": kind, **fields}}, BOT)


@given(st.dictionaries(st.sampled_from(["actions", "container", "user", "view", "message", "team", "channel"]), JSON))
def test_no_shape_of_an_interaction_breaks_it(body: Json) -> None:
    for read in (read_action, read_shortcut, read_command, read_submission):
        read(INTERACTION | body)
