"""Markdown (CommonMark with tables, front matter and the template tags of static site generators) to a document."""

import re

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from knowledge.documents import ParsedDocument
from knowledge.parsing.html import html_to_text
from knowledge.parsing.outline import Outline

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_COMMENT = re.compile(r"\{%-?\s*comment\s*-?%\}.*?\{%-?\s*endcomment\s*-?%\}|<!--.*?-->", re.DOTALL)
_TAG = re.compile(r"\{%-?\s*(\w+)\s*(?:[\"']([^\"']*)[\"'])?[^%]*%\}")
_EXPLICIT_ANCHOR = re.compile(r"\s*\{:?\s*#([\w\-]+)[^}]*\}\s*$")
_SILENT_TAGS = {"include", "render", "layout", "image", "asset"}


def parse_markdown(text: str, fallback_title: str) -> ParsedDocument:
    """The document in `text`. A front matter that is no YAML mapping counts as text."""
    meta, body = _split_front_matter(text.replace("\r\n", "\n"))
    outline = Outline()
    outline.title = str(meta.get("title") or "").strip()
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(_resolve_tags(body))
    _walk(tokens, outline)
    return outline.finish(fallback_title, _keywords(meta))


def _split_front_matter(text: str) -> tuple[dict[str, object], str]:
    match = _FRONT_MATTER.match(text)
    if not match:
        return {}, text
    try:
        meta = yaml.safe_load(match[1])
    except (yaml.YAMLError, ValueError):  # ValueError: a date such as 2023-02-30
        return {}, text
    return (meta, text[match.end() :]) if isinstance(meta, dict) else ({}, text)


def _keywords(meta: dict[str, object]) -> list[str]:
    declared = meta.get("keywords") or ()
    words = declared.split(",") if isinstance(declared, str) else declared if isinstance(declared, list) else ()
    return [word for entry in words if (word := str(entry).strip())]


def _resolve_tags(text: str) -> str:
    """Comments vanish; `{% page "/x/" %}` leaves its argument, `{% slack_channel "x" %}` leaves `#x`."""
    return _TAG.sub(_tag_text, _COMMENT.sub("", text))


def _tag_text(match: re.Match[str]) -> str:
    name, argument = match[1], match[2]
    if not argument or name in _SILENT_TAGS:
        return ""
    return f"#{argument}" if name.endswith("channel") else argument


def _walk(tokens: list[Token], outline: Outline) -> None:
    depth, header, row, rows = 0, [""], [""], [[""]]
    in_header = False
    for index, token in enumerate(tokens):
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                depth += 1
            case "bullet_list_close" | "ordered_list_close":
                depth -= 1
            case "heading_open":
                _heading(tokens[index + 1], int(token.tag[1]), outline)
            case "inline" if tokens[index - 1].type == "paragraph_open":
                _text_block(token, depth, outline)
            case "fence" | "code_block":
                outline.code(token.content)
            case "html_block":
                outline.paragraph(html_to_text(token.content))
            case "table_open":
                header, rows = [], []
            case "thead_open" | "thead_close":
                in_header = token.type == "thead_open"
            case "tr_open":
                row = []
            case "inline" if tokens[index - 1].type in ("th_open", "td_open"):
                row.append(inline_text(token))
            case "tr_close":
                header, rows = (row, rows) if in_header else (header, [*rows, row])
            case "table_close":
                outline.table(header, rows)


def _heading(inline: Token, level: int, outline: Outline) -> None:
    text = inline_text(inline)
    explicit = _EXPLICIT_ANCHOR.search(text)
    if explicit:
        outline.heading(level, text[: explicit.start()], explicit[1])
    else:
        outline.heading(level, text)


def _text_block(inline: Token, depth: int, outline: Outline) -> None:
    if depth:
        outline.item(inline_text(inline), depth)
    else:
        outline.paragraph(inline_text(inline))


def inline_text(inline: Token) -> str:
    """What a reader sees of an inline token; a mail address that hides behind a link's text is shown."""
    parts, href = [], ""
    for child in inline.children or ():
        match child.type:
            case "text" | "code_inline":
                parts.append(child.content)
            case "softbreak" | "hardbreak":
                parts.append(" ")
            case "image":
                parts.append(child.content)
            case "link_open":
                href = str(child.attrs.get("href", ""))
            case "link_close":
                parts.append(_hidden_address(href, "".join(parts)))
            case "html_inline" if child.content.lower().startswith("<br"):
                parts.append(" ")
    return "".join(parts)


def _hidden_address(href: str, shown: str) -> str:
    address = href.removeprefix("mailto:").split("?")[0]
    return f" ({address})" if href.startswith("mailto:") and address not in shown else ""
