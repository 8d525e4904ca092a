"""What a parsed document says, in a form that is easy to compare."""

from knowledge.documents import ParsedDocument


def blocks(document: ParsedDocument) -> list[tuple[str, str, str]]:
    """(kind, text, lead-in) of every block, in order."""
    return [(block.kind, block.text, block.lead_in) for section in document.sections for block in section.blocks]


def texts(document: ParsedDocument) -> list[str]:
    """The text of every block, in order."""
    return [text for _, text, _ in blocks(document)]


def sections(document: ParsedDocument) -> list[tuple[str, str]]:
    """("Heading > path", anchor) of every section, in order."""
    return [(" > ".join(section.heading_path), section.anchor) for section in document.sections]
