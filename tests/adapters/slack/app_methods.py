"""Methods that an app calls for itself, not in the name of one workspace: opening a socket, and installing itself."""

import base64
from collections.abc import Callable

from tests.adapters.slack.slack import Slack
from tests.adapters.slack.state import Json, SlackError


def open_connection(slack: Slack, token: str, arguments: Json) -> Json:
    if token != slack.app.app_token:
        raise SlackError("invalid_auth")
    address = slack.url.replace("http", "ws", 1)
    return {"url": f"{address}/link?ticket={slack.sockets.issue_ticket()}&app_id={slack.app.id}"}


def oauth_access(slack: Slack, token: str, arguments: Json) -> Json:
    """Exchanges the code of `Slack.approve` for the token of the workspace that it stands for."""
    client_id, secret = _credentials(token, arguments)
    if client_id != slack.app.client_id:
        raise SlackError("invalid_client_id")
    if secret != slack.app.client_secret:
        raise SlackError("bad_client_secret")
    team, user = slack.redeem(str(arguments.get("code")))
    installation = next(i for i in slack.installations if i.team == team and not i.is_revoked)
    return {
        "access_token": installation.token,
        "token_type": "bot",
        "scope": ",".join(sorted(installation.scopes)),
        "bot_user_id": installation.bot_user,
        "app_id": slack.app.id,
        "team": {"id": team, "name": slack.world.workspaces[team].name},
        "enterprise": None,
        "is_enterprise_install": False,
        "authed_user": {"id": user},
    }


def _credentials(authorization: str, arguments: Json) -> tuple[str, str]:
    """Client id and secret, from Basic authorization or from the arguments."""
    if authorization.startswith("Basic "):
        id, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        return id, secret
    return str(arguments.get("client_id")), str(arguments.get("client_secret"))


METHODS: dict[str, Callable[[Slack, str, Json], Json]] = {
    "apps.connections.open": open_connection,
    "oauth.v2.access": oauth_access,
}
