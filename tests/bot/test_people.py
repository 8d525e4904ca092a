"""Who may do what, on both databases, and that every try is recorded before it is decided."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlmodel import col, select

from bot.errors import CommandRejected, SettingsInvalid
from bot.messages import Person, PersonId
from bot.people import Membership, NotAllowed, OperatorsRoleBook, Role, RoleBook, person_id
from bot.storage.database import Database
from bot.storage.people import PeopleStore
from bot.storage.tables import AuditRow
from knowledge.documents import EVERYONE

ANN, BOB, CAT = PersonId("slack:T1:ANN"), PersonId("slack:T1:BOB"), PersonId("slack:T1:CAT")
ELSEWHERE = PersonId("discord:9:1")


def member(person: PersonId) -> Person:
    return Person(person, person.rpartition(":")[2].title(), is_member=True)


def guest(person: PersonId) -> Person:
    return Person(person, "Guest", is_member=False)


def audited(database: Database) -> list[tuple[str, str, str, dict[str, object]]]:
    with database.reading() as session:
        rows = session.exec(select(AuditRow).order_by(col(AuditRow.id))).all()
        return [(row.actor, row.action, row.subject, row.details) for row in rows]


@pytest.fixture
def roles(database: Database) -> RoleBook:
    """A role book without a first admin."""
    return RoleBook(PeopleStore(database), "")


@pytest.mark.parametrize("higher", list(Role))
@pytest.mark.parametrize("lower", list(Role))
def test_admins_may_what_support_may_and_support_what_members_may(higher: Role, lower: Role) -> None:
    order = ["member", "support", "admin"]

    assert higher.includes(lower) == (order.index(higher) >= order.index(lower))


@pytest.mark.both_databases
def test_who_was_given_nothing_is_a_member_and_a_guest_is_nothing(roles: RoleBook) -> None:
    roles.grant(BOB, Role.SUPPORT, "console:root")

    assert [roles.role_of(member(ANN)), roles.role_of(member(BOB))] == [Role.MEMBER, Role.SUPPORT]
    assert [roles.role_of(guest(ANN)), roles.role_of(guest(BOB))] == [None, None]


@pytest.mark.both_databases
def test_a_role_is_of_one_workspace(roles: RoleBook) -> None:
    roles.grant(BOB, Role.ADMIN, "console:root")

    assert roles.role_of(member(PersonId("slack:T2:BOB"))) is Role.MEMBER


@pytest.mark.both_databases
def test_the_later_role_takes_the_place_of_the_earlier(roles: RoleBook) -> None:
    roles.grant(ANN, Role.ADMIN, "console:root")
    roles.grant(BOB, Role.SUPPORT, ANN)
    roles.grant(BOB, Role.ADMIN, ANN)
    roles.revoke(ANN, BOB)

    assert [(grant.person, grant.role, grant.granted_by) for grant in roles.grants()] == [(BOB, Role.ADMIN, ANN)]
    assert roles.role_of(member(ANN)) is Role.MEMBER


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("person", "needed", "is_allowed"),
    [
        (member(ANN), Role.MEMBER, True), (member(ANN), Role.SUPPORT, False), (member(ANN), Role.ADMIN, False),
        (member(BOB), Role.SUPPORT, True), (member(BOB), Role.ADMIN, False), (member(CAT), Role.ADMIN, True),
        (guest(CAT), Role.MEMBER, False),
    ],
)  # fmt: skip
def test_every_try_is_recorded_whether_it_is_allowed_or_not(
    database: Database, person: Person, needed: Role, is_allowed: bool
) -> None:
    roles = RoleBook(PeopleStore(database), CAT)
    roles.grant(BOB, Role.SUPPORT, CAT)

    if is_allowed:
        roles.require(person, needed, "forget source", "handbook")
    else:
        with pytest.raises(NotAllowed):
            roles.require(person, needed, "forget source", "handbook")

    actor, action, subject, details = audited(database)[-1]
    assert (actor, action, subject) == (person.id, "forget source", "handbook")
    assert (details["allowed"], details["needed"]) == (is_allowed, needed)


def test_who_is_refused_reads_what_it_takes(roles: RoleBook) -> None:
    with pytest.raises(NotAllowed, match="takes the role admin, and yours is member"):
        roles.require(member(ANN), Role.ADMIN, "reindex")
    with pytest.raises(NotAllowed, match="Only members of this workspace"):
        roles.require(guest(ANN), Role.MEMBER, "help")


@pytest.mark.both_databases
def test_a_role_that_was_taken_away_counts_no_longer_at_the_next_try(database: Database) -> None:
    roles = RoleBook(PeopleStore(database), CAT)
    roles.grant(BOB, Role.SUPPORT, CAT)
    roles.require(member(BOB), Role.SUPPORT, "queue")
    roles.revoke(BOB, CAT)

    with pytest.raises(NotAllowed):
        roles.require(member(BOB), Role.SUPPORT, "queue")


@pytest.mark.both_databases
def test_the_first_admin_is_admin_for_ever_and_the_refusal_names_the_setting(database: Database) -> None:
    roles = RoleBook(PeopleStore(database), ANN)

    with pytest.raises(CommandRejected, match="TIMBRE_CHAT__FIRST_ADMIN"):
        roles.revoke(ANN, BOB)
    with pytest.raises(CommandRejected, match="TIMBRE_CHAT__FIRST_ADMIN"):
        roles.grant(ANN, Role.SUPPORT, BOB)
    assert roles.role_of(member(ANN)) is Role.ADMIN
    assert audited(database) == []


def test_a_first_admin_who_is_no_person_is_told_at_the_start(database: Database) -> None:
    with pytest.raises(SettingsInvalid, match="TIMBRE_CHAT__FIRST_ADMIN: 'ann' is no person"):
        RoleBook(PeopleStore(database), "ann")


@pytest.mark.both_databases
def test_the_last_admin_of_a_workspace_stays(roles: RoleBook) -> None:
    roles.grant(ANN, Role.ADMIN, "console:root")
    roles.grant(ELSEWHERE, Role.ADMIN, "console:root")

    with pytest.raises(CommandRejected, match="the last admin of slack:T1"):
        roles.revoke(ANN, ANN)
    with pytest.raises(CommandRejected, match="the last admin of slack:T1"):
        roles.grant(ANN, Role.SUPPORT, ANN)
    roles.grant(BOB, Role.ADMIN, ANN)
    roles.revoke(ANN, BOB)

    assert {grant.person for grant in roles.grants()} == {BOB, ELSEWHERE}


@pytest.mark.both_databases
def test_two_admins_who_revoke_each_other_at_once_leave_one(database: Database, roles: RoleBook) -> None:
    roles.grant(ANN, Role.ADMIN, "console:root")
    roles.grant(BOB, Role.ADMIN, "console:root")
    start = threading.Barrier(2, timeout=30)

    def revoke(other: PersonId) -> str:
        start.wait()
        try:
            roles.revoke(other, "console:root")
        except CommandRejected as err:
            return str(err)
        return ""

    with ThreadPoolExecutor(2) as pool:
        refusals = [refusal for refusal in pool.map(revoke, [ANN, BOB]) if refusal]

    assert len(roles.grants()) == len(refusals) == 1
    assert "the last admin" in refusals[0]


def test_where_there_is_a_first_admin_the_last_other_one_may_go(database: Database) -> None:
    roles = RoleBook(PeopleStore(database), CAT)
    roles.grant(ANN, Role.ADMIN, CAT)

    roles.revoke(ANN, CAT)

    assert roles.grants() == []


def test_nothing_can_be_taken_from_who_has_nothing(roles: RoleBook) -> None:
    with pytest.raises(CommandRejected, match="slack:T1:ANN has no role"):
        roles.revoke(ANN, BOB)
    with pytest.raises(CommandRejected, match="Every member"):
        roles.grant(ANN, Role.MEMBER, BOB)


def test_an_admin_manages_their_own_workspace_and_the_first_admin_all(database: Database) -> None:
    roles = RoleBook(PeopleStore(database), CAT)

    managed = [roles.may_manage(member(admin), other) for admin in (ANN, CAT) for other in (BOB, ELSEWHERE)]

    assert managed == [True, False, True, True]


@pytest.mark.both_databases
def test_everybody_is_in_everyone_and_in_the_groups_that_they_were_added_to(roles: RoleBook) -> None:
    roles.add_to_group(ANN, " hr ", "console:root")
    roles.add_to_group(ANN, "hr", "console:root")
    roles.add_to_group(ANN, "legal", "console:root")
    roles.add_to_group(BOB, "hr", "console:root")
    roles.remove_from_group(BOB, "hr", "console:root")

    assert roles.groups_of_each([ANN, BOB]) == {ANN: {EVERYONE, "hr", "legal"}, BOB: {EVERYONE}}
    assert roles.groups_of(ANN) == {EVERYONE, "hr", "legal"}
    assert roles.memberships() == [Membership(ANN, "hr"), Membership(ANN, "legal")]


@pytest.mark.both_databases
def test_the_groups_of_a_large_channel_are_found_at_once(roles: RoleBook) -> None:
    people = [PersonId(f"slack:T1:U{number}") for number in range(1_200)]
    roles.add_to_group(people[0], "hr", "console:root")
    roles.add_to_group(people[-1], "hr", "console:root")

    found = roles.groups_of_each(people)

    assert len(found) == 1_200
    assert [person for person, groups in found.items() if "hr" in groups] == [people[0], people[-1]]


@pytest.mark.parametrize(("group", "reason"), [(" ", "has a name"), (EVERYONE, "Everybody is in the group"), ("hr", "is not in")])
def test_a_group_that_cannot_be_left_is_told_in_a_sentence(roles: RoleBook, group: str, reason: str) -> None:
    with pytest.raises(CommandRejected, match=reason):
        roles.remove_from_group(ANN, group, BOB)


@pytest.mark.both_databases
def test_every_change_is_recorded_with_who_made_it(database: Database, roles: RoleBook) -> None:
    roles.grant(ANN, Role.ADMIN, "console:root")
    roles.add_to_group(BOB, "hr", ANN)
    roles.remove_from_group(BOB, "hr", ANN)

    assert audited(database) == [
        ("console:root", "role", ANN, {"role": "admin", "before": "member"}),
        (ANN, "group", BOB, {"added": "hr"}),
        (ANN, "group", BOB, {"removed": "hr"}),
    ]


@pytest.mark.parametrize("text", ["slack:T1:U1", "@slack:T1:U1"])
def test_a_person_is_named_by_their_id_or_a_mention_of_it(text: str) -> None:
    assert person_id(text) == "slack:T1:U1"


@pytest.mark.parametrize(
    "text", ["", "ann", "@ann", "slack:T1", "slack:T1:", "slack::U1", "slack:T1:U1:x", "slack:T 1:U1", "Slack:T1:U1"]
)
def test_what_is_no_person_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(CommandRejected, match=r"is no person\. Mention them, or write platform:workspace:user"):
        person_id(text)


def test_the_operator_may_everything_and_reads_what_they_chose_and_nobody_else_gains_by_it(database: Database) -> None:
    operator, hr = PersonId("console:local:ann"), frozenset({EVERYONE, "hr"})
    chats = RoleBook(PeopleStore(database), CAT)
    chats.add_to_group(BOB, "legal", "console:root")

    book = OperatorsRoleBook(PeopleStore(database), CAT, operator, hr)

    assert book.groups_of_each([operator, ANN, BOB]) == {operator: hr, **chats.groups_of_each([ANN, BOB])}
    assert book.groups_of(operator) == hr and chats.groups_of(operator) == {EVERYONE}
    people = [member(person) for person in (operator, ANN, CAT)]
    assert [book.role_of(person) for person in people] == [Role.ADMIN, Role.MEMBER, Role.ADMIN]
    assert chats.role_of(people[0]) is Role.MEMBER
    assert [book.may_manage(person, BOB) for person in people] == [True, True, True]
    assert [book.may_manage(person, ELSEWHERE) for person in people] == [True, False, True]
