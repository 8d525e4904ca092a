"""`views.*` (modals and the Home tab), and what agents show around a conversation: status, prompts, title, session."""

from uuid import uuid4

from tests.adapters.slack.calling import Caller
from tests.adapters.slack.chat_methods import with_ids
from tests.adapters.slack.shapes import view_object
from tests.adapters.slack.state import Json, SlackError, SuggestedPrompts, ThreadStatus, View

MAX_STACK = 3  # modals on top of each other
STATUS_LIVES_S = 120.0  # the reference on assistant.threads.setStatus


def open_view(caller: Caller, arguments: Json) -> Json:
    trigger = caller.slack.handles.exchange(arguments.get("trigger_id"))
    view = new_view(caller, arguments["view"], trigger.user)
    caller.world.modals[trigger.user] = [view]
    return _shown(caller, view)


def push(caller: Caller, arguments: Json) -> Json:
    trigger = caller.slack.handles.exchange(arguments.get("trigger_id"))
    stack = caller.world.modals[trigger.user]
    if not stack:
        raise SlackError("not_found")
    if len(stack) >= MAX_STACK:
        raise SlackError("push_limit_reached")
    view = new_view(caller, arguments["view"], trigger.user, below=stack[-1])
    stack.append(view)
    return _shown(caller, view)


def update(caller: Caller, arguments: Json) -> Json:
    view = caller.world.find_view(arguments.get("view_id"), arguments.get("external_id"))
    if arguments.get("hash") and arguments["hash"] != view.hash:
        raise SlackError("hash_conflict")
    replace_view(caller, view, arguments["view"])
    return _shown(caller, view)


def publish(caller: Caller, arguments: Json) -> Json:
    user = arguments["user_id"]
    if user not in caller.world.users:
        raise SlackError("invalid_arguments", response_metadata={"messages": ["[ERROR] invalid user_id"]})
    home = caller.world.homes.get((caller.team, user))
    if home and arguments.get("hash") and arguments["hash"] != home.hash:
        raise SlackError("hash_conflict")
    if home:
        replace_view(caller, home, arguments["view"])
    else:
        home = caller.world.homes[caller.team, user] = new_view(caller, arguments["view"], user)
    return _shown(caller, home)


def new_view(caller: Caller, body: Json, user: str, below: View | None = None) -> View:
    id = caller.world.new_id("V")
    body = {**body, "blocks": with_ids(caller, body["blocks"])}
    root, previous = (below.root_id, below.id) if below else (id, None)
    return View(id=id, team=caller.team, user=user, body=body, hash=uuid4().hex, root_id=root, previous_id=previous)


def replace_view(caller: Caller, view: View, body: Json) -> None:
    view.body = {**body, "blocks": with_ids(caller, body["blocks"])}
    view.hash = uuid4().hex


def _shown(caller: Caller, view: View) -> Json:
    caller.slack.changed()
    return {"view": view_object(view, caller.installation, caller.slack.app.id)}


def set_status(caller: Caller, arguments: Json) -> Json:
    channel = caller.channel_to_read(arguments["channel_id"])
    thread = caller.message(channel, arguments["thread_ts"], "invalid_thread_ts").root_ts
    caller.world.statuses[channel.id, thread] = ThreadStatus(
        text=arguments.get("status") or "",
        loading_messages=tuple(arguments.get("loading_messages") or ()),
        ends_at=caller.world.clock.now() + STATUS_LIVES_S,
    )
    caller.slack.changed()
    return {}


def set_suggested_prompts(caller: Caller, arguments: Json) -> Json:
    channel = caller.channel_to_read(arguments["channel_id"])
    if channel.kind != "im":
        raise SlackError("channel_not_found")
    thread_ts = arguments.get("thread_ts")
    if thread_ts:
        caller.message(channel, thread_ts, "invalid_thread_ts")
    prompts = SuggestedPrompts(title=arguments.get("title"), prompts=tuple(arguments["prompts"]), thread_ts=thread_ts)
    caller.world.prompts[channel.id, thread_ts] = prompts
    caller.slack.changed()
    return {}


def set_title(caller: Caller, arguments: Json) -> Json:
    channel = caller.channel_to_read(arguments["channel_id"])
    thread = caller.message(channel, arguments["thread_ts"], "invalid_thread_ts").root_ts
    caller.world.sessions.setdefault((channel.id, thread), {"status": "active"})["title"] = arguments["title"]
    return {}


def set_session_status(caller: Caller, arguments: Json) -> Json:
    channel = caller.channel(arguments["channel_id"])
    if caller.user not in channel.members:
        raise SlackError("not_authorized")
    if not arguments.get("thread_ts"):
        raise SlackError("thread_ts_required")
    thread = caller.message(channel, arguments["thread_ts"], "channel_not_found").root_ts
    session = caller.world.sessions.setdefault((channel.id, thread), {"title": arguments.get("title")})
    session["status"] = arguments["status"]
    caller.slack.changed()
    reply = {"status": session["status"], "agent_status": session["status"], "title": session["title"]}
    if "agent_session_stopped" not in caller.slack.app.events:
        return reply | {"warning": "missing_agent_session_stopped_event_subscription"}
    return reply


def rename_session(caller: Caller, arguments: Json) -> Json:
    channel = caller.channel_to_read(arguments["channel_id"])
    session = caller.world.sessions.get((channel.id, arguments.get("thread_ts") or ""))
    if session is None:
        raise SlackError("session_not_found")
    session["title"] = arguments["title"]
    return {"title": arguments["title"]}


METHODS = {
    "views.open": open_view,
    "views.push": push,
    "views.update": update,
    "views.publish": publish,
    "assistant.threads.setStatus": set_status,
    "assistant.threads.setSuggestedPrompts": set_suggested_prompts,
    "assistant.threads.setTitle": set_title,
    "agents.sessions.setStatus": set_session_status,
    "agents.sessions.rename": rename_session,
}
