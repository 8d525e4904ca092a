"""What an app shows through a response URL, or in the acknowledgement of a command."""

from tests.adapters.slack.calling import Caller
from tests.adapters.slack.chat_methods import bot_message, content
from tests.adapters.slack.handles import ResponseUrl, check_response
from tests.adapters.slack.slack import Slack
from tests.adapters.slack.state import Channel, Json, Message, SlackError


def respond(slack: Slack, id: str, body: Json) -> None:
    """One use of a response URL. SlackError where it may not be used or the body is wrong."""
    url = slack.handles.use_response_url(id)
    caller = Caller(slack, slack.installation(url.team))
    channel = slack.world.channels[url.channel]
    original = _original(slack, url)
    wrong = check_response(body)
    slack.problems += [f"A post to a response URL {sentence}." for sentence, _ in wrong]
    for _, error in wrong:
        if error:
            raise SlackError(error)
    if body.get("delete_original") and original:
        slack.delete(original)
    elif body.get("replace_original") and original:
        slack.edit(original, **content(caller, body), edited={"user": caller.user, "ts": caller.world.new_ts()})
    elif body.get("text") or body.get("blocks"):
        thread_ts = body.get("thread_ts") or url.thread_ts
        show_response(caller, url.user, channel, thread_ts, body, "")


def show_response(caller: Caller, user: str, channel: Channel, thread_ts: str | None, body: Json, what: str) -> None:
    """Shows the body to the user alone, or to the channel. `what` it is goes into problems; "" where it was checked."""
    if what:
        caller.slack.problems += [f"{what} {sentence}." for sentence, _ in check_response(body)]
    message = bot_message(caller, channel, thread_ts, **content(caller, body))
    if body.get("response_type") == "in_channel":
        caller.slack.post(message)
    else:
        message.visible_to = user
        caller.slack.show(message)


def _original(slack: Slack, url: ResponseUrl) -> Message | None:
    """The message that was acted on: an ordinary one, or an ephemeral one of that person."""
    if url.message_ts is None:
        return None
    shown = [m for m in slack.world.ephemerals if m.ts == url.message_ts and m.visible_to == url.user]
    return shown[0] if shown else slack.world.message(url.channel, url.message_ts)
