"""Installation in many workspaces: Slack's flow over our database, and events answered with each workspace's own token."""

import aiohttp
import pytest
from slack_sdk.oauth.installation_store.models.installation import Installation

from adapters.slack.installations import Installations, States
from bot.storage.database import Database
from scripts.servers import any_free_ports
from tests.adapters.slack.running import Desk, connected
from tests.adapters.slack.server import SlackServer

pytestmark = [pytest.mark.slow, pytest.mark.both_databases]


def installation(team: str, token: str) -> Installation:
    return Installation(
        app_id="A1", team_id=team, user_id="U9", bot_token=token, bot_id="B1", bot_user_id="UBOT", bot_scopes=["chat:write"]
    )


@pytest.fixture
async def installations(database: Database) -> Installations:
    found = Installations(database, "client")
    await found.open()
    return found


async def test_the_last_installation_of_a_workspace_counts(installations: Installations) -> None:
    for team, token in (("T1", "xoxb-1"), ("T2", "xoxb-2"), ("T1", "xoxb-3")):
        await installations.async_save(installation(team, token))

    found = {workspace.id: workspace.token for workspace in await installations.workspaces()}

    assert found == {"T1": "xoxb-3", "T2": "xoxb-2"}


async def test_a_workspace_that_removed_the_app_is_forgotten(installations: Installations) -> None:
    await installations.async_save(installation("T1", "xoxb-1"))
    await installations.async_save(installation("T2", "xoxb-2"))

    await installations.remove("T1")

    assert await installations.workspace("T1") is None
    assert await installations.async_find_bot(enterprise_id=None, team_id="T1") is None
    assert await installations.async_find_installation(enterprise_id=None, team_id="T1") is None
    assert await installations.workspace("T2")


async def test_what_was_begun_comes_back_once(database: Database) -> None:
    states = States(database)
    await states.open()
    state = await states.async_issue()

    assert not await states.async_consume("../x")
    assert await states.async_consume(state)
    assert not await states.async_consume(state)


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")  # in slack_sdk 3.47
async def test_two_workspaces_install_the_app_and_are_answered_with_their_own_tokens(
    slack: SlackServer, database: Database
) -> None:
    desk = Desk()
    first, second = slack.installation("T1"), slack.install("T2", "Other")
    ana, tom = slack.add_person("Ana"), slack.add_person("Tom", team="T2")
    changes = {"http_port": any_free_ports(1)[0], "client_id": "1.1", "client_secret": "client-secret", "bot_token": ""}
    async with connected(slack, database, desk, **changes) as platform:
        base = f"http://127.0.0.1:{platform.http_port}/slack"
        for team, user in (("T1", ana), ("T2", tom)):
            assert await _install(slack, base, team, user.id) == 200
        slack.deliver_over_http(f"{base}/events")
        await ana.dm("one")
        await tom.dm("two")
        await slack.until(lambda: not slack.deliveries.open)
        slack.uninstall("T2")
        await slack.until(lambda: not slack.deliveries.open)
        await platform.close()

    assert [(message.author.id, message.text) for message in desk.messages] == [
        (f"slack:T1:{ana.id}", "one"),
        (f"slack:T2:{tom.id}", "two"),
    ]
    assert {call.team for call in slack.calls_of("users.info")} == {"T1", "T2"}
    remembered = await Installations(database, "1.1").workspaces()
    assert [(workspace.id, workspace.token) for workspace in remembered] == [("T1", first.token)]
    assert second.is_revoked


async def _install(slack: SlackServer, base: str, team: str, user: str) -> int:
    """What a browser does: the install page, Slack's consent, and back with the state in the cookie."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.get(f"{base}/install") as page:
            text = await page.text()
            cookie = page.headers["Set-Cookie"].partition(";")[0]
        state = text.partition("state=")[2].partition("&")[0].partition('"')[0]
        code = slack.approve(team, team, user)
        query, headers = {"code": code, "state": state}, {"Cookie": cookie}
        async with browser.get(f"{base}/oauth_redirect", params=query, headers=headers) as done:
            return done.status
