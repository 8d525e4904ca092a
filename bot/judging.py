"""What the judges of a release need of the engine: its prompts and its check. They know nothing of the engine themselves."""

from collections.abc import Sequence

from bot.prompting import messages_on
from bot.rated_exchanges import supports
from bot.voice import Voice
from knowledge.ports import Embedder
from training.cases import BuildPrompt
from training.judgements import Check, CheckedSentence


def prompt_builder(voice: Voice) -> BuildPrompt:
    """Makes exactly what the engine sends to have quotes worded; `bot.prompting.quotes_in` reads the quotes back."""
    return lambda question, quotes: [
        {"role": message["role"], "content": message["content"]} for message in messages_on(question, quotes, voice)
    ]


def engine_check(embedder: Embedder, phrases: Sequence[str]) -> Check:
    """The check that every worded sentence passes before anyone sees it. Of the phrases, which state nothing, it says nothing."""
    fixed = {_plain(phrase) for phrase in phrases}

    def check(question: str, quotes: Sequence[str], text: str) -> list[CheckedSentence]:
        checked = supports(embedder, text, quotes, question)
        return [(sentence, position) for sentence, position in checked if _plain(sentence) not in fixed]

    return check


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
