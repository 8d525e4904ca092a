"""Who may do what, and who may read what: roles and groups of people. Knows nothing of platforms but the shape of their ids.

A role is given to a person of one workspace (`slack:T1:U1`); the same human has another id elsewhere.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from bot.audiences import audience_of_viewers
from bot.errors import CommandRejected, SettingsInvalid
from bot.messages import Person, PersonId, Viewers
from knowledge.documents import EVERYONE, Audience, normalise_audience

if TYPE_CHECKING:
    from bot.storage.people import PeopleStore

FIRST_ADMIN_SETTING = "TIMBRE_CHAT__FIRST_ADMIN"
_PERSON = re.compile(r"[a-z]+:[^\s:]+:[^\s:]+")


class Role(StrEnum):
    """What a member of a workspace may do, least first; who is no member has none."""

    MEMBER = "member"
    SUPPORT = "support"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether this role may all that the other may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


@dataclass(frozen=True)
class Grant:
    """A role beyond member that somebody was given."""

    person: PersonId
    role: Role
    granted_by: str
    granted_at: datetime


@dataclass(frozen=True)
class Membership:
    """A person may read what is for the group."""

    person: PersonId
    group: str


class NotAllowed(CommandRejected):
    """The person's role does not let them do this. `role` is None for who is no member."""

    def __init__(self, role: Role | None, needed: Role) -> None:
        if role is None:
            super().__init__("Only members of this workspace may do this, not guests, bots and people of other companies.")
        else:
            super().__init__(f"This takes the role {needed}, and yours is {role}. An admin can change that: `/timbre roles`.")


def person_id(text: str) -> PersonId:
    """The id that a person wrote, with or without an @ in front. Raises CommandRejected for a wrong shape (pure)."""
    if not is_person_id(text):
        raise CommandRejected(
            f"{text!r} is no person. Mention them, or write platform:workspace:user, such as slack:T1:U1 "
            "(`/timbre who-am-i` shows people their own)."
        )
    return PersonId(text.removeprefix("@"))


def is_person_id(text: str) -> bool:
    """Whether it has the shape of a person's id, with or without an @ in front (pure)."""
    return bool(_PERSON.fullmatch(text.removeprefix("@")))


def workspace_of(person: PersonId) -> str:
    return person.rpartition(":")[0]


def check_change(person: PersonId, role: Role, first_admin: str, grants: Sequence[Grant]) -> None:
    """Raises CommandRejected where `person` may not get `role` in place of what they have (pure).

    Somebody who can give roles out must stay: the first admin anywhere, or an admin of the workspace.
    """
    if role is Role.ADMIN:
        return
    if person == first_admin:
        raise CommandRejected(f"{person} is the first admin, whom {FIRST_ADMIN_SETTING} names; change that setting instead.")
    admins = {grant.person for grant in grants if grant.role is Role.ADMIN}
    here = {admin for admin in admins if workspace_of(admin) == workspace_of(person)}
    if here == {person} and not first_admin:
        raise CommandRejected(f"{person} is the last admin of {workspace_of(person)}; make somebody else admin first.")
    if role is Role.MEMBER and person not in {grant.person for grant in grants}:
        raise CommandRejected(f"{person} has no role that could be taken away.")


class RoleBook:
    """Gives out roles and groups, and tells who has which. Every change and every try is in the audit. Safe for threads."""

    def __init__(self, store: "PeopleStore", first_admin: str) -> None:
        """`first_admin` is always admin; empty: there is none. Raises SettingsInvalid when it is no id of a person."""
        try:
            self._first_admin = person_id(first_admin) if first_admin else PersonId("")
        except CommandRejected as err:
            raise SettingsInvalid(f"{FIRST_ADMIN_SETTING}: {err}") from err
        self._store = store

    def role_of(self, person: Person) -> Role | None:
        """None for who is no member, whatever they were given: a guest has no role."""
        if not person.is_member:
            return None
        return Role.ADMIN if person.id == self._first_admin else self._store.role(person.id)

    def is_staff(self, person: Person) -> bool:
        """Support or above."""
        role = self.role_of(person)
        return role is not None and role.includes(Role.SUPPORT)

    def require(self, person: Person, role: Role, action: str, subject: str = "") -> None:
        """Returns when the person may do it. The try is in the audit then, allowed or not. Raises NotAllowed."""
        found = self.role_of(person)
        is_allowed = found is not None and found.includes(role)
        self._store.record_try(person.id, action, subject, {"allowed": is_allowed, "role": found or "", "needed": role})
        if not is_allowed:
            raise NotAllowed(found, role)

    @property
    def first_admin_note(self) -> str:
        """Who the first admin is, and where that is said."""
        if not self._first_admin:
            return f"There is no first admin; {FIRST_ADMIN_SETTING} can name one."
        return f"The first admin is `{self._first_admin}` ({FIRST_ADMIN_SETTING})."

    def may_manage(self, admin: Person, other: PersonId) -> bool:
        """An admin manages people of their own workspace, the first admin those of all."""
        return admin.id == self._first_admin or admin.workspace == workspace_of(other)

    def grants(self) -> list[Grant]:
        """Every role beyond member, the first admin's left out."""
        return [grant for grant in self._store.grants() if grant.person != self._first_admin]

    def admins(self, workspace: str) -> list[PersonId]:
        """The admins of a workspace (`platform:workspace`), the first admin of all among them."""
        return self._those(workspace, Role.ADMIN)

    def all_admins(self) -> list[PersonId]:
        """The admins of every workspace, the first admin among them."""
        granted = [grant.person for grant in self.grants() if grant.role is Role.ADMIN]
        return [person for person in [self._first_admin, *granted] if person]

    def staff(self, workspace: str) -> list[PersonId]:
        """Support staff and admins of a workspace."""
        return self._those(workspace, Role.SUPPORT)

    def _those(self, workspace: str, role: Role) -> list[PersonId]:
        granted = [grant.person for grant in self.grants() if grant.role.includes(role)]
        return [person for person in [self._first_admin, *granted] if person and workspace_of(person) == workspace]

    def grant(self, person: PersonId, role: Role, by: str) -> None:
        """Gives the role in place of the one before. Raises CommandRejected when an admin has to stay."""
        if role is Role.MEMBER:
            raise CommandRejected("Every member of the workspace has that role; `revoke` takes a higher one away.")
        self._store.change_role(person, role, by, partial(check_change, person, role, self._first_admin))

    def revoke(self, person: PersonId, by: str) -> None:
        """Makes a plain member of them. Raises CommandRejected when there is nothing to revoke or an admin has to stay."""
        self._store.change_role(person, Role.MEMBER, by, partial(check_change, person, Role.MEMBER, self._first_admin))

    def groups_of(self, person: PersonId) -> Audience:
        """The groups whose documents the person may read, with that of everyone."""
        return self.groups_of_each([person])[person]

    def groups_of_each(self, people: Collection[PersonId]) -> Mapping[PersonId, Audience]:
        """`groups_of` for each of many people at once."""
        found = self._store.groups_of(people)
        return {person: found.get(person, frozenset()) | {EVERYONE} for person in people}

    def audience_of(self, viewers: Viewers) -> Audience:
        """The groups whose documents all of the viewers may read; see `audience_of_viewers`."""
        return audience_of_viewers(viewers, self.groups_of_each(viewers.people))

    def memberships(self) -> list[Membership]:
        return self._store.memberships()

    def add_to_group(self, person: PersonId, group: str, by: str) -> str:
        """The group as it is now called. Doing it twice changes nothing. Raises CommandRejected for a name that is none."""
        name = _group(group)
        self._store.add_to_group(person, name, by)
        return name

    def remove_from_group(self, person: PersonId, group: str, by: str) -> str:
        """The group as it is called. Raises CommandRejected when the person is not in it."""
        name = _group(group)
        if not self._store.remove_from_group(person, name, by):
            raise CommandRejected(f"{person} is not in the group {name}.")
        return name


class OperatorsRoleBook(RoleBook):
    """The role book where whoever runs Timbre acts: the operator may do everything, and reads what `audience` says.

    Of everybody else it says what their own grants and groups say.
    """

    def __init__(self, store: "PeopleStore", first_admin: str, operator: PersonId, audience: Audience) -> None:
        super().__init__(store, first_admin)
        self._operator = operator
        self._audience = audience

    def role_of(self, person: Person) -> Role | None:
        return Role.ADMIN if person.id == self._operator else super().role_of(person)

    def may_manage(self, admin: Person, other: PersonId) -> bool:
        return admin.id == self._operator or super().may_manage(admin, other)

    def groups_of_each(self, people: Collection[PersonId]) -> Mapping[PersonId, Audience]:
        found = super().groups_of_each(people)
        return {person: self._audience if person == self._operator else groups for person, groups in found.items()}


def _group(text: str) -> str:
    labels = normalise_audience([text])
    if not labels:
        raise CommandRejected("A group has a name, such as hr.")
    if labels == {EVERYONE}:
        raise CommandRejected(f"Everybody is in the group {EVERYONE}; it cannot be changed.")
    return next(iter(labels))
