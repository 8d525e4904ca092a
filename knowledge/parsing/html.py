"""HTML pages to a document: keeps ids as anchors, drops navigation, scripts and page furniture."""

from selectolax.lexbor import LexborHTMLParser, LexborNode

from knowledge.documents import ParsedDocument
from knowledge.parsing.outline import Outline, collapse

_INVISIBLE = "script, style, template"
_FURNITURE = "script, style, noscript, template, nav, header, footer, aside, form, iframe, svg, [hidden], [aria-hidden=true]"
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_INLINE = {"a", "abbr", "b", "br", "cite", "code", "em", "i", "img", "kbd", "mark", "q", "s", "small", "span", "strong"}
_INLINE |= {"sub", "sup", "time", "u", "label", "del", "ins", "var", "samp", "-text"}
_SKIPPED = {"-comment", "script", "style"}


def parse_html(text: str, fallback_title: str) -> ParsedDocument:
    """The document in `text`; the main part of the page where it is marked as such, else the body."""
    tree = LexborHTMLParser(text)
    page_title = tree.css_first("title")
    articles = tree.css("article")
    root = tree.css_first("main") or (articles[0] if len(articles) == 1 else tree.body)
    outline = Outline()
    if root is not None:
        for node in root.css(_FURNITURE):
            node.decompose()
        for node in root.css("br"):
            node.replace_with("\n")
        _walk(root, outline, depth=0)
    return outline.finish((collapse(page_title.text()) if page_title else "") or fallback_title)


def html_to_text(fragment: str) -> str:
    """The visible text of an HTML fragment."""
    body = LexborHTMLParser(fragment).body
    for node in body.css(_INVISIBLE) if body else ():
        node.decompose()
    return collapse(body.text(separator=" ")) if body else ""


def _walk(parent: LexborNode, outline: Outline, depth: int) -> None:
    """Block children become events; runs of inline children become one paragraph or item."""
    run: list[str] = []
    for node in parent.iter(include_text=True):
        if node.tag in _INLINE:
            run.append(" " if node.tag == "br" else node.text())
            continue
        _flush(run, outline, depth)
        _block(node, outline, depth)
    _flush(run, outline, depth)


def _flush(run: list[str], outline: Outline, depth: int) -> None:
    text = "".join(run)
    run.clear()
    if depth:
        outline.item(text, depth)
    else:
        outline.paragraph(text)


def _block(node: LexborNode, outline: Outline, depth: int) -> None:
    tag = node.tag or ""
    if tag in _SKIPPED:
        return
    if tag in _HEADINGS:
        outline.heading(_HEADINGS[tag], node.text(), _anchor(node))
    elif tag == "table":
        _table(node, outline)
    elif tag == "pre":
        outline.code(node.text())
    elif tag in ("ul", "ol"):
        _walk(node, outline, depth + 1)
    else:
        _walk(node, outline, depth)


def _anchor(heading: LexborNode) -> str | None:
    """The heading's own id, a named anchor inside it, or the id of the section that it opens."""
    named = heading.css_first("a[id], a[name]")
    section = heading.parent if heading.parent and heading.parent.tag in ("section", "article") else None
    candidates = [heading, named, section]
    for node in candidates:
        if node is not None and (anchor := node.attributes.get("id") or node.attributes.get("name")):
            return anchor
    return None


def _table(table: LexborNode, outline: Outline) -> None:
    rows = [[(cell.tag, cell.text(separator=" ")) for cell in row.css("th, td")] for row in table.css("tr")]
    rows = [row for row in rows if row]
    has_header = bool(rows) and all(tag == "th" for tag, _ in rows[0])
    header = [text for _, text in rows[0]] if has_header else []
    outline.table(header, [[text for _, text in row] for row in rows[has_header:]])
