"""A small company to talk in: the cast of tests, benchmarks and the demo."""

from dataclasses import dataclass

from tests.adapters.slack.persons import Person
from tests.adapters.slack.server import SlackServer


@dataclass(frozen=True, kw_only=True)
class Office:
    slack: SlackServer
    ana: Person
    """An employee."""
    ben: Person
    """Another one."""
    carla: Person
    """Support staff, workspace admin."""
    guest: Person
    """A single-channel guest, in #general."""
    general: str
    """#general, public, everybody and the app are in."""
    leads: str
    """#leads, private, with Carla, Ben and the app."""
    support: str
    """The user group @support."""


def furnish(slack: SlackServer) -> Office:
    """Fills an empty workspace; ids are fixed: U1 to U4, C1, C2, S1."""
    ana = slack.add_person("Ana Alba", id="U1")
    ben = slack.add_person("Ben Berg", id="U2", tz="America/New_York", tz_offset=-18000)
    carla = slack.add_person("Carla Cruz", id="U3", is_admin=True)
    guest = slack.add_person("Gil Guest", id="U4", is_ultra_restricted=True)
    general = slack.add_channel("general", ana, ben, carla, guest, id="C1")
    leads = slack.add_channel("leads", carla, ben, kind="private", id="C2")
    support = slack.world.add_user_group("support", team="T1", users=[carla.id], id="S1").id
    return Office(slack=slack, ana=ana, ben=ben, carla=carla, guest=guest, general=general, leads=leads, support=support)
