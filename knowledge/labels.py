"""Labels that an index finds readers by (pure): the groups of a document, and each of them within its source.

One list of labels serves both questions, so that an index needs nothing more than "do the two share a label": who asks everywhere
brings groups, who asks in some sources only brings groups within these sources.
"""

from collections.abc import Collection

from knowledge.documents import Audience

LABELS_VERSION = "1"
_WITHIN = "\u241f"  # the sign for the separator of units, which nobody types into a name


def labels_of(source: str, audience: Audience) -> Audience:
    """The labels of a chunk in the source for these groups."""
    return audience | _within(source, audience)


def labels_asked(audience: Audience, sources: Collection[str]) -> Audience:
    """The labels of which a chunk must have one; without sources it may be in any."""
    return frozenset[str]().union(*(_within(source, audience) for source in sources)) if sources else audience


def _within(source: str, audience: Audience) -> Audience:
    return frozenset(f"{source}{_WITHIN}{group}" for group in audience)
