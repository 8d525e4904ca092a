"""Every call of a day at work against Slack's own TypeScript types. (Against its reference they are checked in every test.)"""

from pathlib import Path

import pytest

from bot.main import build
from bot.settings import ChatSettings, Settings
from tests.adapters.slack import typescript
from tests.adapters.slack.conftest import CARLA
from tests.adapters.slack.office import Office
from tests.adapters.slack.running import bot_at_work, press, private, rate
from tests.conftest import silent
from tests.fakes import HashingEmbedder, ScriptedModel

pytestmark = pytest.mark.slow
QUESTION = "How many days of annual leave do full-time employees get?"
METHODS = {
    "apps.connections.open", "assistant.threads.setStatus", "assistant.threads.setSuggestedPrompts", "auth.test",
    "chat.appendStream", "chat.postEphemeral", "chat.postMessage", "chat.startStream", "chat.stopStream", "chat.update",
    "conversations.info", "conversations.members", "conversations.open", "reactions.add", "reactions.remove", "users.info",
    "views.open", "views.publish",
}  # fmt: skip


async def test_every_call_of_a_day_is_of_the_right_types(handbook_home: Path, office: Office, channel: str) -> None:
    if obstacle := typescript.install():
        pytest.skip(obstacle)

    await a_day(handbook_home, office, channel)

    assert {call.method for call in office.slack.calls} >= METHODS
    assert typescript.check_types(office.slack.calls) == []


async def a_day(home: Path, office: Office, channel: str) -> None:
    """Answers in every form, a rating, a correction, a call for people, and the app's own pages."""
    settings = Settings(home=home, chat=ChatSettings(first_admin=f"slack:T1:{CARLA}"))
    model = ScriptedModel(*["Full-time employees get 27 days of annual leave. [1]"] * 3)
    timbre = build(settings, silent, embedder=HashingEmbedder(), language_model=model, wording="model")
    ana, slack = office.ana, office.slack
    async with bot_at_work(timbre, slack) as bot:
        ts = await ana.say(channel, f"{slack.mention} {QUESTION}")
        answer = await slack.answer_to(channel, ts)
        await bot.exchange_of(channel, answer.ts)
        await slack.until(lambda: answer.metadata)
        await rate(ana, answer, "not_helpful")
        await ana.see_modal()
        await ana.submit({"reason": "tone", "comment": "Too dry."})
        await private(office, ana)
        unknown = await ana.say(channel, f"{slack.mention} Zyxw qwertz?")
        refused = await slack.answer_to(channel, unknown)
        await bot.exchange_of(channel, refused.ts)
        await press(ana, refused, "ask_person")
        call = await slack.answer_to(channel, unknown, count=2)
        await press(office.carla, call, "resolved")
        await slack.until(lambda: "white_check_mark" in refused.reactions)
        await ana.say(office.general, f"{slack.mention} {QUESTION}")
        await private(office, ana, 3)
        await ana.open_home()
        await ana.open_home("messages")
        await slack.until(lambda: slack.world.prompts and ana.home)
        await press(ana, ana.home, "ask:")  # type: ignore[arg-type]
        await slack.until(lambda: len(slack.world.messages(ana.direct_channel)) == 2)
    timbre.knowledge.index.close()
    timbre.database.close()
