"""Slack's two markups (pure): `mrkdwn` in texts and sections, standard Markdown in `markdown` blocks and streams.

Slack takes <...> for a mention or a link in both of them, so that nothing may keep its < but what is made here.
"""

import re

from adapters.text import Block, blocks

_QUOTE = re.compile(r"^(?:[ \t]{0,3}>)+", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029\ufffe\uffff]")
_WEB_ADDRESS = re.compile(r"https?://[^\s<>|]+")
_CODE = re.compile(r"(`[^`\n]+`)")
_LINK = re.compile(r"(\[[^\[\]\n]+\]\(https?://[^\s()<>|]*(?:\([^\s()<>|]*\)[^\s()<>|]*)*\))")
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_BULLET = re.compile(r"^([ \t]*)[-*+][ \t]+", re.MULTILINE)
_STRONG = re.compile(r"\*\*(?=\S)([^*\n]+)(?<=\S)\*\*|(?<!\w)__(?=\S)([^_\n]+)(?<=\S)__(?!\w)")
_EMPHASIS = re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+)(?<=\S)\*(?![\w*])")
_STRUCK = re.compile(r"~~(?=\S)([^~\n]+)(?<=\S)~~")
_BOLD = "\x00"  # stands for the * of bold text until single * have become _


def clean(text: str) -> str:
    """The text without what no Slack client can show: control characters and halves of characters."""
    return _CONTROL.sub(" ", text.replace("\r\n", "\n")).encode("utf-8", "replace").decode()


def escaped(text: str) -> str:
    """The text as it stands, for `mrkdwn`."""
    return clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def markdown(text: str) -> str:
    """Markdown for a `markdown` block: its quotes, lists and emphasis are meant, Slack's own syntax is not."""
    return "\n".join(_markdown_line(line) for line in clean(text).split("\n"))


def mrkdwn(text: str) -> str:
    """Markdown as `mrkdwn`. Its links are meant: whoever made the text has taken out those that are not."""
    return "\n\n".join(_mrkdwn_block(block) for block in blocks(clean(text)))


def link(address: str, label: str) -> str:
    """A link in `mrkdwn`; the label alone where the address is none that a person can open."""
    label = escaped(" ".join(label.split())).replace("|", "¦")
    return f"<{escaped(address)}|{label}>" if _WEB_ADDRESS.fullmatch(address) else label


def _markdown_line(line: str) -> str:
    quote = _QUOTE.match(line)
    start = quote.end() if quote else 0
    return line[:start] + line[start:].replace("<", "&lt;").replace(">", "&gt;")


def _mrkdwn_block(block: Block) -> str:
    if block.opening:
        return f"```\n{escaped(block.code)}\n```"
    parts = _CODE.split(_BULLET.sub(r"\1• ", block.text))
    return "".join(escaped(part) if number % 2 else _linked(part) for number, part in enumerate(parts))


def _linked(text: str) -> str:
    parts = _LINK.split(text)
    return "".join(_link(part) if number % 2 else _inline(part) for number, part in enumerate(parts))


def _link(text: str) -> str:
    label, _, address = text[1:-1].partition("](")
    return link(address, label)


def _inline(text: str) -> str:
    quoted = "\n".join(_escaped_after_quote(line) for line in text.split("\n"))
    bold = _STRONG.sub(lambda found: f"{_BOLD}{found[1] or found[2]}{_BOLD}", _HEADING.sub(rf"{_BOLD}\1{_BOLD}", quoted))
    return _STRUCK.sub(r"~\1~", _EMPHASIS.sub(r"_\1_", bold)).replace(_BOLD, "*")


def _escaped_after_quote(line: str) -> str:
    quote = _QUOTE.match(line)
    start = quote.end() if quote else 0
    return line[:start] + escaped(line[start:])
