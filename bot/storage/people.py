"""Roles, groups and the tries to use them, in SQL."""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session, col, select

from bot.messages import PersonId
from bot.people import Grant, Membership, Role
from bot.storage import audit
from bot.storage.chat_tables import GroupMemberRow, RoleRow
from bot.storage.database import Database
from bot.storage.times import utc
from knowledge.documents import Audience
from knowledge.tables import in_slices


class PeopleStore:
    """Reads and writes roles and groups; every change is in the audit, in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def role(self, person: PersonId) -> Role:
        """Member for who was given nothing."""
        with self._database.reading() as session:
            row = session.get(RoleRow, person)
            return Role(row.role) if row else Role.MEMBER

    def grants(self) -> list[Grant]:
        """By person."""
        with self._database.reading() as session:
            return _grants(session)

    def change_role(self, person: PersonId, role: Role, by: str, check: Callable[[Sequence[Grant]], None]) -> None:
        """Puts the role in place of the one before; member takes it away.

        `check` gets all grants as they are at that moment; what it raises leaves everything as it was.
        """
        with self._database.writing() as session:
            check(_grants(session))
            row = session.get(RoleRow, person)
            if row and role is Role.MEMBER:
                session.delete(row)
            elif role is not Role.MEMBER:
                session.merge(RoleRow(person=person, role=role, granted_by=by, granted_at=datetime.now(UTC)))
            audit.record(session, by, "role", person, {"role": role, "before": row.role if row else Role.MEMBER})

    def record_try(self, actor: PersonId, action: str, subject: str, details: dict[str, Any]) -> None:
        """Returns when it is committed."""
        with self._database.writing() as session:
            audit.record(session, actor, action, subject, details)

    def groups_of(self, people: Collection[PersonId]) -> dict[PersonId, Audience]:
        """The groups of those who are in any."""
        found: dict[PersonId, Audience] = {}
        with self._database.reading() as session:
            for part in in_slices(list(people)):
                rows = session.exec(select(GroupMemberRow).where(col(GroupMemberRow.person).in_(part))).all()
                for row in rows:
                    person = PersonId(row.person)
                    found[person] = found.get(person, frozenset()) | {row.group}
        return found

    def memberships(self) -> list[Membership]:
        """By group, then by person."""
        with self._database.reading() as session:
            rows = session.exec(select(GroupMemberRow).order_by(GroupMemberRow.group, GroupMemberRow.person)).all()
            return [Membership(PersonId(row.person), row.group) for row in rows]

    def add_to_group(self, person: PersonId, group: str, by: str) -> None:
        with self._database.writing() as session:
            session.merge(GroupMemberRow(person=person, group=group, added_by=by, added_at=datetime.now(UTC)))
            audit.record(session, by, "group", person, {"added": group})

    def remove_from_group(self, person: PersonId, group: str, by: str) -> bool:
        """False when the person was not in it."""
        with self._database.writing() as session:
            row = session.get(GroupMemberRow, (person, group))
            if row is None:
                return False
            session.delete(row)
            audit.record(session, by, "group", person, {"removed": group})
            return True


def _grants(session: Session) -> list[Grant]:
    rows = session.exec(select(RoleRow).order_by(RoleRow.person)).all()
    return [Grant(PersonId(row.person), Role(row.role), row.granted_by, utc(row.granted_at)) for row in rows]
