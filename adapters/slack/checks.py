"""What `timbre doctor` wants to know of Slack: whether the tokens are good, and what they lack."""

import asyncio
from collections.abc import Mapping

from adapters.slack.manifest import SCOPES
from adapters.slack.web import SlackRefused, SlackWeb
from bot.doctor import Finding
from bot.errors import PlatformUnavailable
from bot.settings import SlackSettings

INSTALL_AGAIN = "Put what `timbre slack manifest` prints into the app's settings and install the app again."


def check(settings: SlackSettings) -> list[Finding]:
    """The findings, in the order in which one thing needs the other; nothing where Slack is not to be used."""
    return asyncio.run(examine(settings))


async def examine(settings: SlackSettings) -> list[Finding]:
    web = SlackWeb(settings.api_url)
    try:
        bot = [await _bot_token(web, settings)] if settings.bot_token.get_secret_value() else []
        way_in = await _way_in(web, settings) if bot or settings.client_id else []
        return [*bot, *way_in]
    finally:
        await web.close()


async def _bot_token(web: SlackWeb, settings: SlackSettings) -> Finding:
    name = "Slack bot token"
    try:
        answer = await web.respond(settings.bot_token.get_secret_value(), lambda client: client.auth_test())
    except SlackRefused as err:
        return Finding(name, False, str(err), "Copy the Bot User OAuth Token (xoxb-...) into TIMBRE_SLACK__BOT_TOKEN.")
    except PlatformUnavailable as err:
        return Finding(name, False, str(err), f"Check the network and TIMBRE_SLACK__API_URL ({web.api_url}).")
    fact = f"{answer['user']} in {answer['team']}"
    granted = scopes(answer.headers)
    missing = [scope for scope in SCOPES if granted is not None and scope not in granted]
    if missing:
        return Finding(name, False, f"{fact} lacks the scopes {', '.join(missing)}", INSTALL_AGAIN)
    return Finding(name, True, fact)


async def _way_in(web: SlackWeb, settings: SlackSettings) -> list[Finding]:
    """Socket Mode, or what HTTP mode takes."""
    if settings.http_port:
        is_well = bool(settings.signing_secret.get_secret_value())
        remedy = "" if is_well else "Copy the Signing Secret into TIMBRE_SLACK__SIGNING_SECRET."
        return [Finding("Slack HTTP mode", is_well, f"port {settings.http_port}", remedy)]
    name, token = "Slack Socket Mode", settings.app_token.get_secret_value()
    remedy = "Make an app-level token with the scope connections:write, set TIMBRE_SLACK__APP_TOKEN, switch Socket Mode on."
    if not token:
        return [Finding(name, False, "no app-level token", remedy)]
    try:
        await web.call("", lambda client: client.apps_connections_open(app_token=token))
    except SlackRefused as err:
        return [Finding(name, False, str(err), remedy)]
    except PlatformUnavailable as err:
        return [Finding(name, False, str(err), f"Check the network and TIMBRE_SLACK__API_URL ({web.api_url}).")]
    return [Finding(name, True, "the app-level token is good")]


def scopes(headers: Mapping[str, str]) -> frozenset[str] | None:
    """What the token was granted (pure); None where Slack does not tell."""
    told = next((value for name, value in headers.items() if name.lower() == "x-oauth-scopes"), None)
    return None if told is None else frozenset(scope.strip() for scope in told.split(","))
