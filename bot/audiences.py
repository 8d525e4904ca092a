"""Who may read an answer (pure): from who sees the place that it is written in, or who asks at the terminal."""

from collections.abc import Mapping, Sequence

from bot.messages import PersonId, Viewers
from knowledge.documents import EVERYONE, Audience, normalise_audience


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


def audience_at_terminal(named: Audience, groups: Sequence[str] | None) -> tuple[list[str], Audience]:
    """Who asks at this terminal: (groups that no document names, audience); `named` are those that documents name.

    Without groups it is the operator, who holds the files and reads all of them; with groups, a member of those and of
    everyone.
    """
    if groups is None:
        return [], named | {EVERYONE}
    chosen = normalise_audience(groups)
    return sorted(chosen - named - {EVERYONE}), chosen | {EVERYONE}
