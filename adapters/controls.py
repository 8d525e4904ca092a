"""What a button or a form of ours carries on every platform: what it is for, and of what (pure).

It stands under old messages for as long as those are kept, so it stays as it is.
"""

from bot.messages import Control

PREFIX = "timbre"


def encode(control: Control, subject: str) -> str:
    """`timbre:CONTROL:SUBJECT`."""
    return f"{PREFIX}:{control}:{subject}"


def decode(text: str) -> tuple[Control, str] | None:
    """None for what is none of ours, or of a Timbre that knew more of them."""
    prefix, _, rest = text.partition(":")
    word, _, subject = rest.partition(":")
    return (Control(word), subject) if prefix == PREFIX and word in set(Control) else None
