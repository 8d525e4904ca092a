"""How replies, notices and what lies behind an answer look in a terminal (pure)."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from adapters.console.inbound import COMMANDS
from bot.conversation import Exchange, Outcome
from bot.messages import Button, Control, Form, Link, Notice, Reply, ReplyKind, Response
from bot.printing import exchange_view, frame, markdown, passages_table, quotes_view

LEARNED = "Questions like this one will find the passage more easily."
NOTED = "Thank you, noted. If you know what is right, tell me: [cyan]/fix The right answer.[/cyan]"
_OUTCOMES = {
    ReplyKind.ANSWER: Outcome.ANSWERED,
    ReplyKind.SMALL_TALK: Outcome.ANSWERED,
    ReplyKind.CLOSEST: Outcome.CLOSEST,
    ReplyKind.UNKNOWN: Outcome.UNKNOWN,
}
_WORDS = {Control.CONFIRM: "/yes", Control.CANCEL: "/no"}


def help_view() -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False)
    for command, meaning in COMMANDS.items():
        table.add_row(Text(command, style="cyan"), meaning)
    return Group("Type a question, or:", table)


def reply_view(reply: Reply, exchange: Exchange | None) -> RenderableType:
    """The answer to `exchange` word for word and with the places of its files, which a reply leaves out for other platforms."""
    if exchange:
        return exchange_view(exchange)
    if reply.kind is ReplyKind.ERROR:
        return problem_view(reply.text)
    head = [frame(_OUTCOMES[reply.kind])] if reply.kind in _OUTCOMES else []
    return Group(*head, markdown(reply.text), *_links(reply.links))


def ending_view(reply: Reply, exchange: Exchange | None, shown: str) -> RenderableType:
    """What a reply holds beyond what its stream has shown."""
    if exchange and exchange.answer.wording:
        return quotes_view(exchange)
    shown = shown.rstrip()
    if not reply.text.startswith(shown):
        return reply_view(reply, exchange)
    return Group(markdown(reply.text.removeprefix(shown)), *_links(reply.links))


def notice_view(notice: Notice) -> RenderableType:
    return problem_view(notice.text) if notice.is_problem else Group(markdown(notice.text), *_choices(notice.buttons))


def problem_view(sentence: str) -> Text:
    return Text(sentence, style="yellow")


def verdict_view(response: Response) -> RenderableType:
    """What a verdict came to. The form that asks why is one line here: the next line may be a question already."""
    if isinstance(response, Form):
        return Text.from_markup(NOTED)
    assert isinstance(response, Notice)
    return problem_view(response.text) if response.is_problem else Text(f"{response.text} {LEARNED}")


def why_view(exchange: Exchange) -> RenderableType:
    """The query, the signal, the passages with their scores, known questions that helped, and the model's messages."""
    parts: list[RenderableType] = [
        Text(f"searched for: {exchange.query}"),
        Text(f"signal {exchange.signal:.2f}, outcome {exchange.answer.outcome}, release {exchange.release}, id {exchange.id}"),
        passages_table(exchange.passages),
    ]
    for passage in exchange.passages:
        legs = ", ".join(f"{name} {score:.2f}" for name, score in passage.legs.items())
        parts.append(Text(f"  #{passage.rank}: {legs}", style="dim"))
        if passage.found_by:
            parts.append(Text(f"  #{passage.rank} found by the known question: {passage.found_by}", style="green"))
    parts += [Text(f"{m['role']}: {m['content']}", style="dim") for m in exchange.messages]
    if not exchange.messages:
        parts.append(Text("no model was asked: the answer is made of quotes", style="dim"))
    timings = ", ".join(f"{step} {seconds:.3f} s" for step, seconds in exchange.timings_s.items())
    return Group(*parts, Text(timings, style="dim"))


def _links(links: Sequence[Link]) -> list[RenderableType]:
    lines = [Text(f"  [{link.number}] {' · '.join(filter(None, (link.title, link.heading, link.url)))}") for link in links]
    return [Text(), *lines] if lines else []


def _choices(buttons: Sequence[Button]) -> list[RenderableType]:
    """Those that a line can be typed for."""
    return [Text(f"  {_WORDS[button.control]}  {button.label}", style="cyan") for button in buttons if button.control in _WORDS]
