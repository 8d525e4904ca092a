"""How admins hear of a release that does not serve though it should."""

import asyncio
from collections.abc import Iterator

import pytest

from bot.errors import DatabaseUnavailable
from bot.messages import Delivery, PersonId
from bot.people import Role, RoleBook
from bot.releases import ReleaseWatch
from bot.storage.database import Database
from bot.storage.people import PeopleStore

ADA, DORA, SUE = PersonId("slack:T1:ADA"), PersonId("discord:9:DORA"), PersonId("slack:T1:SUE")
ALERT = "Release r-2 cannot serve: it is not what was written. Until that is put right, the base model answers."


class Office:
    """Ada and Dora are admins in two workspaces, Sue is support; `alert` is what the model says of itself."""

    def __init__(self, database: Database) -> None:
        roles = RoleBook(PeopleStore(database), ADA)
        roles.grant(DORA, Role.ADMIN, ADA)
        roles.grant(SUE, Role.SUPPORT, ADA)
        self.alert = ALERT
        self.deliveries: list[Delivery] = []
        self.watch = ReleaseWatch(self.tell, roles.all_admins, self.put, pause_s=0)
        self.all_told = asyncio.Event()
        self.faults: Iterator[Exception] = iter(())

    async def tell(self) -> str:
        return self.alert

    async def put(self, delivery: Delivery) -> None:
        if fault := next(self.faults, None):
            raise fault
        self.deliveries.append(delivery)
        if {ADA, DORA} <= {earlier.to for earlier in self.deliveries}:
            self.all_told.set()


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)


async def test_every_admin_is_told_directly_and_nobody_else(office: Office) -> None:
    await office.watch.look()

    assert [(delivery.to, delivery.reply.text) for delivery in office.deliveries] == [(ADA, ALERT), (DORA, ALERT)]
    assert {(delivery.place.platform, delivery.place.channel) for delivery in office.deliveries} == {
        ("slack", ""),
        ("discord", ""),
    }


async def test_the_same_alert_is_the_same_message_and_another_one_another(office: Office) -> None:
    await office.watch.look()
    await office.watch.look()
    office.alert = ALERT.replace("r-2", "r-3")
    await office.watch.look()

    keys = [delivery.key for delivery in office.deliveries if delivery.to == ADA]
    assert keys[0] == keys[1] != keys[2]


async def test_nobody_is_told_when_all_is_well(office: Office) -> None:
    office.alert = ""

    await office.watch.look()

    assert office.deliveries == []


async def test_a_database_that_is_away_is_waited_out(office: Office) -> None:
    office.faults = iter([DatabaseUnavailable("x", "it is away")])

    watching = asyncio.create_task(office.watch.run())
    await asyncio.wait_for(office.all_told.wait(), 5)
    watching.cancel()

    assert {delivery.to for delivery in office.deliveries} == {ADA, DORA}
