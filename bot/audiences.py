"""Who may read an answer, from who sees the place that it is written in (pure)."""

from collections.abc import Mapping

from bot.messages import PersonId, Viewers
from knowledge.documents import EVERYONE, Audience


def audience_of_viewers(viewers: Viewers, groups: Mapping[PersonId, Audience]) -> Audience:
    """The groups whose documents all of the viewers may read.

    Nothing where an outsider looks on; what is for everyone where anybody of the workspace may come in, or where a viewer
    is missing in `groups`.
    """
    if viewers.has_outsiders:
        return frozenset()
    everyone = frozenset({EVERYONE})
    if viewers.is_open or not viewers.people:
        return everyone
    return frozenset.intersection(*(groups.get(person, frozenset()) for person in viewers.people)) | everyone
