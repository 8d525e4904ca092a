"""What a conversation gets of an exchange (pure): the text, the cited pages and the buttons. Knows nothing of any platform."""

from collections.abc import Sequence

import regex

from bot.conversation import Citation, Exchange, Outcome
from bot.links import without_links
from bot.messages import Button, Control, Link, Reply, ReplyKind

REDUCED_SEARCH = "Reduced search: the index does not answer, so its copy in the database was searched."
LATE = "Sorry for the late answer: I was away."

_KINDS = {
    Outcome.ANSWERED: ReplyKind.ANSWER,
    Outcome.CLOSEST: ReplyKind.CLOSEST,
    Outcome.UNKNOWN: ReplyKind.UNKNOWN,
    Outcome.ERROR: ReplyKind.ERROR,
}
_WEB_ADDRESS = regex.compile(r"https?://[^\s<>|\p{Cc}]+")
"""What a person can open from a chat, and what no platform takes for its own syntax."""


def reply_of(exchange: Exchange, *, can_share: bool = False, is_late: bool = False) -> Reply:
    """The exchange as people see it; an address in its text that is none of its links is taken out.

    `can_share`: only the asker sees it, and may show it to the channel.
    """
    links = [] if exchange.is_small_talk else [link_of(citation) for citation in exchange.answer.citations]
    text = without_links(exchange.answer.text, {link.url for link in links if link.url})
    text = f"{LATE}\n\n{text}" if is_late else text
    text = f"{text}\n\n*{REDUCED_SEARCH}*" if exchange.is_reduced else text
    if exchange.is_small_talk:
        return Reply(ReplyKind.SMALL_TALK, text)
    kind = _KINDS[exchange.answer.outcome]
    return Reply(kind, text, links, _buttons(exchange, kind, can_share))


def error_reply(sentence: str, error_id: str) -> Reply:
    """What is said when no answer could be made; the id leads an administrator to the log."""
    return Reply(ReplyKind.ERROR, f"{without_links(sentence)}\n\n(error {error_id})")


def block_quote(text: str) -> str:
    """What a person wrote, as a Markdown quote without addresses."""
    return "\n".join(f"> {line}".rstrip() for line in without_links(text).splitlines())


def link_of(citation: Citation) -> Link:
    """The cited page, with the address of the passage where a person can open it."""
    passage = citation.quote.passage
    anchor = f"#{passage.chunk.anchor}" if passage.chunk.anchor else ""
    address = f"{passage.document.address}{anchor}"
    url = address if _WEB_ADDRESS.fullmatch(address) else ""
    return Link(citation.number, without_links(passage.document.title), without_links(passage.chunk.heading), url)


def _buttons(exchange: Exchange, kind: ReplyKind, can_share: bool) -> Sequence[Button]:
    """An answer is rated first; what may be none offers a person first."""
    rating = [Button(Control.HELPFUL, exchange.id, "Helpful"), Button(Control.NOT_HELPFUL, exchange.id, "Not helpful")]
    ask_person = [Button(Control.ASK_PERSON, exchange.id, "Ask a person")]
    rated = rating if kind is not ReplyKind.ERROR else []
    share = [Button(Control.SHARE, exchange.id, "Share")] if can_share else []
    first = [*rated, *ask_person] if kind is ReplyKind.ANSWER else [*ask_person, *rated]
    return [*first, *share]
