"""What the judges of a release need of the engine: its prompts and its check. They know nothing of the engine themselves.

`engine` is what a training run names: it reads the settings of its own process.
"""

from collections.abc import Sequence

from bot.prompting import messages_on, quotes_in
from bot.rated_exchanges import supports
from bot.settings import load
from bot.voice import Voice, read_voice
from bot.weights import embedder_loader
from bot.wording import normalised
from knowledge.ports import Embedder
from training.cases import BuildPrompt
from training.evaluation import Engine
from training.judgements import Check, CheckedSentence


def engine(phrases: Sequence[str]) -> tuple[Engine, str]:
    """As the settings have it, with these phrases of a voice beside those of the style guide; and the style guide's checks.

    Raises SettingsInvalid, or ModelUnavailable when there is no embedder.
    """
    settings = load()
    voice = read_voice(settings.answer.voice)
    embedder = embedder_loader(settings, _silent)()
    return Engine(prompt_builder(voice), quotes_in, engine_check(embedder, [*voice.phrases, *phrases])), voice.checks


def prompt_builder(voice: Voice) -> BuildPrompt:
    """Makes exactly what the engine sends to have quotes worded; `bot.prompting.quotes_in` reads the quotes back."""
    return lambda question, quotes: [
        {"role": message["role"], "content": message["content"]} for message in messages_on(question, quotes, voice)
    ]


def engine_check(embedder: Embedder, phrases: Sequence[str]) -> Check:
    """The check that every worded sentence passes before anyone sees it. Of the phrases, which state nothing, it says nothing."""
    fixed = {normalised(phrase) for phrase in phrases}

    def check(question: str, quotes: Sequence[str], text: str) -> list[CheckedSentence]:
        checked = supports(embedder, text, quotes, question)
        return [(sentence, position) for sentence, position in checked if normalised(sentence) not in fixed]

    return check


def _silent(_: str) -> None:
    """Nobody watches a training run's set-up."""
