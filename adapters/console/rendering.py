"""What the chat shows beside answers: help, and what lies behind an answer."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from adapters.console.inbound import COMMANDS
from bot.conversation import Exchange
from bot.printing import passages_table


def help_view() -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False)
    for command, meaning in COMMANDS.items():
        table.add_row(Text(command, style="cyan"), meaning)
    return Group("Type a question, or:", table)


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
