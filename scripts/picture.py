"""Draws `docs/chat.svg`, the README's picture of a conversation, from a real one: `python scripts/picture.py`."""

import asyncio
import tempfile
from pathlib import Path

from rich.console import Console as Screen
from rich.text import Text

from bot.audiences import audience_at_terminal
from bot.main import build, build_console
from bot.settings import Settings
from bot.sources import Sources

ROOT = Path(__file__).parent.parent
LINES = (
    "how many days can i take over into next yr?",
    "What about days I could not take because I was ill?",
    "what's the guest wifi called",
    "/fix The guest network is called Tarnwick-Visitors; guests scan the QR code on the reception desk.",
    "Can I bring my dog to the office?",
)


async def main() -> None:
    screen = Screen(record=True, width=100, force_terminal=True, highlight=False)
    with tempfile.TemporaryDirectory() as home:
        timbre = build(Settings(home=Path(home)), lambda _: None)
        sources = Sources(timbre.knowledge)
        sources.ingest(sources.describe(str(ROOT / "samples" / "handbook"), "handbook", None), lambda *_: None)
        audience = audience_at_terminal(timbre.knowledge.catalogue.groups(), None)[1]
        chat = build_console(timbre, audience, "you", screen)
        for line in LINES:
            screen.print(Text(f"\n› {line}", style="bold"))
            await chat.say(line)
        await timbre.close()
    screen.save_svg(str(ROOT / "docs" / "chat.svg"), title="timbre chat")


if __name__ == "__main__":
    asyncio.run(main())
