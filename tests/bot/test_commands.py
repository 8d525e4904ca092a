"""`/timbre` as people use it: who may what, what it does, and what is recorded."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlmodel import col, select

from bot.channels import Answers, ChannelSettings
from bot.command_words import VERBS, parse
from bot.commands import Commands
from bot.main import Timbre
from bot.messages import (
    Button,
    Click,
    Command,
    Control,
    Delivery,
    Item,
    MessageRef,
    Notice,
    Person,
    PersonId,
    Place,
    Section,
)
from bot.people import Role, RoleBook
from bot.releases import Releases, Standing
from bot.status import Status, read_status, status_text
from bot.storage.channels import ChannelStore
from bot.storage.chat_tables import ChannelRow
from bot.storage.database import Database
from bot.storage.intake import IntakeStore
from bot.storage.people import PeopleStore
from bot.storage.tables import AuditRow
from bot.storage.training import TrainingStore
from bot.training_runs import TrainingRuns
from knowledge.catalogue import STANDARD_ANSWERS, DocumentStatus, Source, SourceSummary
from knowledge.documents import DocumentId
from knowledge.ports import GenerationId
from tests.bot.conftest import ALL
from tests.bot.test_long_work import Clock
from tests.conftest import silent
from tests.training.loras import CARD, open_registry, write_base, write_lora
from training import runs
from training.errors import ReleaseUnusable
from training.forecast import Budget
from training.releases import ModelRelease

ADA, SUE, MIA = PersonId("slack:T1:ADA"), PersonId("slack:T1:SUE"), PersonId("slack:T1:MIA")
ROOT, ELSEWHERE = PersonId("discord:9:ROOT"), PersonId("discord:9:1")
PLACE = Place("slack", "T1", "C1")
NAMES = {ADA: "Ada", SUE: "Sue", MIA: "Mia", ROOT: "Root"}


def person(id: PersonId, is_member: bool = True) -> Person:
    return Person(id, NAMES.get(id, id), is_member)


def audited(database: Database) -> list[tuple[str, str, str, object]]:
    """(actor, action, subject, whether it was allowed) of every try, in order."""
    with database.reading() as session:
        rows = session.exec(select(AuditRow).order_by(col(AuditRow.id))).all()
        return [(row.actor, row.action, row.subject, row.details["allowed"]) for row in rows if "allowed" in row.details]


class Desk:
    """Commands on a real database, with what they said and sent. Ada is admin, Sue support, Root the first admin elsewhere."""

    def __init__(self, timbre: Timbre) -> None:
        self.timbre = timbre
        self.clock = Clock()
        self.said: list[str] = []
        self.deliveries: list[Delivery] = []
        self.queue_items: list[Item] = []
        self.roles = RoleBook(PeopleStore(timbre.database), ROOT)
        self.roles.grant(ADA, Role.ADMIN, ROOT)
        self.roles.grant(SUE, Role.SUPPORT, ROOT)
        self.channels = ChannelStore(timbre.database)
        counts = IntakeStore(timbre.database).counts
        self.home = timbre.settings.home
        self.registry = open_registry(self.home)
        self.tried: list[str] = []
        self.says_nothing = False
        self.releases = Releases(self.registry, "base:tiny", self.try_out, self.registry.current, timbre.exchanges.audit)
        self.commands = Commands(
            self.roles,
            self.channels,
            TrainingStore(timbre.database),
            timbre.knowledge,
            self.releases,
            TrainingRuns(timbre.settings, silent),
            partial(
                read_status,
                timbre.knowledge,
                timbre.exchanges,
                lambda: {"slack": True, "discord": False},
                counts,
                self.releases.standing,
            ),
            self.mine,
            self.queue,
            self.name_of,
            self.put,
            self.clock,
        )

    def try_out(self, release: ModelRelease) -> None:
        self.tried.append(release.id)
        if self.says_nothing:
            raise ReleaseUnusable(release.id, "it says nothing")

    def add_release(self, seed: int) -> str:
        return self.registry.add(write_lora(write_base(self.home / "base").parent / f"lora-{seed}", seed), CARD)

    async def mine(self, person: Person) -> Section:
        return Section(f"Questions of {person.name}", [])

    async def queue(self, person: Person) -> Section:
        return Section("To review", self.queue_items)

    async def name_of(self, person: PersonId) -> str:
        return NAMES.get(person, person)

    async def put(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)

    async def say(self, notice: Notice) -> None:
        self.said.append(notice.text)

    async def run(self, words: str, by: PersonId = ADA, *, is_member: bool = True, place: Place = PLACE) -> Notice:
        return await self.commands.run(Command(person(by, is_member), place, words), self.say)

    async def click(self, button: Button, by: PersonId = ADA) -> Notice:
        return await self.commands.confirm(Click(person(by), MessageRef(PLACE, "m1"), button.control, button.subject), self.say)

    def sources(self) -> list[str]:
        return [source.name for source in self.timbre.knowledge.catalogue.sources()]

    def state(self) -> tuple[object, ...]:
        """All that a command can change."""
        return self.sources(), self.roles.grants(), self.roles.memberships(), self.channels.get(PLACE)


@pytest.fixture
def desk(handbook: Timbre) -> Desk:
    return Desk(handbook)


# Who may what


FOR_SUPPORT = ["queue", "sources"]
FOR_ADMINS = [
    "reindex", "add source /srv/docs", "forget source handbook", "here answers questions", "roles list",
    "releases", "promote r-1", "rollback", "train now", "train forecast", "train status",
    f"roles grant {MIA} admin", f"roles revoke {SUE}", "groups list", f"groups add {MIA} hr", f"groups remove {MIA} hr",
]  # fmt: skip
FOR_EVERYBODY = ["help", "who-am-i", "mine", "status", "training opt-out", "training opt-in"]
TOO_MUCH = [*((MIA, words) for words in FOR_SUPPORT + FOR_ADMINS), *((SUE, words) for words in FOR_ADMINS)]


@pytest.mark.parametrize(("by", "words"), TOO_MUCH)
async def test_who_may_not_is_refused_and_recorded_and_nothing_changes(desk: Desk, by: PersonId, words: str) -> None:
    before = desk.state()

    notice = await desk.run(words, by)

    request = parse(words)
    assert notice.is_problem and notice.text.startswith("This takes the role")
    assert audited(desk.timbre.database) == [(by, request.verb.words, request.subject, False)]
    assert (desk.state(), desk.said) == (before, [])


@pytest.mark.parametrize("words", [*FOR_EVERYBODY, *FOR_SUPPORT, *FOR_ADMINS, "stauts"])
async def test_a_guest_may_nothing_even_with_a_role(desk: Desk, words: str) -> None:
    before = desk.state()

    notice = await desk.run(words, ADA, is_member=False)

    assert notice.is_problem and notice.text.startswith("Only members of this workspace")
    assert [is_allowed for *_, is_allowed in audited(desk.timbre.database)] == [False]
    assert desk.state() == before


def test_every_command_is_in_these_tables() -> None:
    tables = {Role.MEMBER: FOR_EVERYBODY, Role.SUPPORT: FOR_SUPPORT, Role.ADMIN: FOR_ADMINS}

    assert {(parse(words).verb.words, role) for role, table in tables.items() for words in table} == {
        (verb.words, verb.needs) for verb in VERBS
    }


async def test_a_person_says_for_themselves_that_nothing_is_learned_from_them(desk: Desk) -> None:
    training = TrainingStore(desk.timbre.database)

    first, again = await desk.run("training opt-out", MIA), await desk.run("Training opt-out", MIA)
    opted_out = training.opted_out()
    back = await desk.run("training opt-in", MIA)

    assert first.text.startswith("From now on nothing is learned")
    assert again.text.startswith("Nothing is learned")
    assert opted_out == {MIA}
    assert back.text.startswith("From now on what you ask")
    assert training.opted_out() == set()


@pytest.mark.both_databases
async def test_what_is_allowed_is_recorded_before_it_is_done(handbook: Timbre) -> None:
    seen: list[tuple[str, str, str, object]] = []

    class Looking(Desk):
        async def queue(self, person: Person) -> Section:
            seen.extend(audited(self.timbre.database))
            return await super().queue(person)

    await Looking(handbook).run("queue", SUE)

    assert seen == [(SUE, "queue", "", True)]


async def test_wrong_words_get_the_nearest_right_ones(desk: Desk) -> None:
    assert await desk.run("stauts", MIA) == Notice("I do not know 'stauts'. Did you mean `/timbre status`?", is_problem=True)


# For everybody


@pytest.mark.parametrize("words", ["", "help"])
async def test_help_names_what_one_may(desk: Desk, words: str) -> None:
    member, admin = await desk.run(words, MIA), await desk.run(words, ADA)

    assert "/timbre mine" in member.text and "/timbre reindex" not in member.text
    assert "/timbre reindex" in admin.text


async def test_who_am_i_tells_id_role_and_groups(desk: Desk) -> None:
    desk.roles.add_to_group(SUE, "hr", ADA)

    assert (await desk.run("who-am-i", SUE)).text == f"You are Sue, `{SUE}`. Role: support. Groups: everyone, hr."


async def test_mine_shows_the_questions_of_the_person(desk: Desk) -> None:
    assert (await desk.run("mine", MIA)).text == "**Questions of Mia**\n\nNothing."


async def test_members_learn_whether_all_is_well_and_admins_how(desk: Desk) -> None:
    short, whole = await desk.run("status", MIA), await desk.run("status", ADA)

    assert short.text.startswith("Not every platform is connected. Timbre ") and len(short.text.splitlines()) == 1
    assert "2 chunks" in whole.text and "slack connected, discord not connected" in whole.text
    assert "- waiting: inbox waiting 0, inbox dead 0, outbox waiting 0, outbox failed 0" in whole.text
    assert "- verdicts: none" in whole.text


# For support


async def test_the_queue_has_numbered_buttons_for_the_first_items(desk: Desk) -> None:
    buttons = [Button(Control.APPROVE, "7", "Approve"), Button(Control.REJECT, "7", "Reject", is_dangerous=True)]
    desk.queue_items = [Item(f"Correction {number}", buttons) for number in range(1, 8)]

    notice = await desk.run("queue", SUE)

    assert [button.label for button in notice.buttons][:3] == ["Approve (1)", "Reject (1)", "Approve (2)"]
    assert len(notice.buttons) == 10 and notice.buttons[1].is_dangerous
    assert "**5.** Correction 5" in notice.text and "Correction 6" not in notice.text and "and 2 more" in notice.text


async def test_sources_are_listed_with_readers_and_no_passwords(desk: Desk) -> None:
    desk.timbre.knowledge.catalogue.put_source("bucket", "s3://key:hunter2@bucket/docs", frozenset({"hr"}))

    text = (await desk.run("sources", SUE)).text

    assert "2 documents, 2 chunks, for everyone, read 20" in text and " UTC." in text
    assert "`bucket` (`s3://key:***@bucket/docs`): 0 documents, 0 chunks, for hr, read never." in text


# Sources


@pytest.mark.slow
@pytest.mark.both_databases
async def test_an_admin_adds_a_source_and_it_is_read_for_its_groups(desk: Desk, write: Callable[..., Path]) -> None:
    folder = write({"a.md": "# A\n\nText.", "b.pdf": b"no pdf"}, "My Docs")

    notice = await desk.run(f"add source {folder} as manuals for hr, legal")

    assert not notice.is_problem, notice.text
    lines = notice.text.splitlines()
    assert lines[0] == "`manuals`: 2 new, 0 changed, 0 unchanged, 0 deleted."
    assert lines[1].startswith("- `b.pdf`: ") and lines[2] == "Its readers: hr, legal."
    (found,) = [summary for summary in desk.timbre.knowledge.catalogue.summaries() if summary.source.name == "manuals"]
    assert (found.source.audience, found.documents) == (frozenset({"hr", "legal"}), 1)
    assert audited(desk.timbre.database) == [(ADA, "add source", f"{folder} as manuals for hr, legal", True)]


@pytest.mark.slow
async def test_progress_is_told_while_documents_are_read(
    desk: Desk, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.long_work.PROGRESS_S", 0.001)
    folder = write({f"page-{number:03}.md": f"# Page {number}\n\nText {number}." for number in range(70)}, "manuals")

    notice = await desk.run(f"add source {folder}")

    assert "70 new" in notice.text
    assert [text for text in desk.said if text.startswith("Reading manuals: ") and text.endswith(" of 70 files")]
    assert len(set(desk.said)) == len(desk.said)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("add source docs", "no full path on the server"),
        ("add source /no/such/folder", "Cannot read /no/such/folder: there is no such file or folder"),
        ("add source gopher://x/y", "Cannot read gopher://x/y"),
        (f"add source /srv/docs as {STANDARD_ANSWERS}", "taken by corrections; choose another name"),
        ("reindex handbok", "'handbok' is no source. Did you mean handbook"),
        ("forget source handbok", "'handbok' is no source. Did you mean handbook"),
        (f"forget source {STANDARD_ANSWERS}", f"'{STANDARD_ANSWERS}' is no source"),
    ],
)
async def test_a_source_that_cannot_be_used_is_told_in_a_sentence(desk: Desk, words: str, sentence: str) -> None:
    desk.timbre.knowledge.catalogue.put_source(STANDARD_ANSWERS, "corrections", frozenset())
    before = desk.state()

    notice = await desk.run(words)

    assert notice.is_problem and sentence in notice.text
    assert desk.state() == before


async def test_while_another_ingestion_runs_a_command_says_so(desk: Desk) -> None:
    with desk.timbre.database.ingesting():
        notice = await desk.run("reindex")

    assert notice == Notice("Another ingestion is running here; wait until it has finished.", is_problem=True)


@pytest.mark.slow
async def test_reindexing_reads_the_named_sources_again_and_reports_those_that_are_away(
    desk: Desk, write: Callable[..., Path]
) -> None:
    folder = write({"a.md": "# A\n\nText."}, "manuals")
    await desk.run(f"add source {folder}")
    write({"b.md": "# B\n\nText."}, "manuals")

    read = await desk.run("reindex manuals")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    away = await desk.run("reindex Manuals")

    assert read.text == "`manuals`: 1 new, 0 changed, 1 unchanged, 0 deleted.\nThe new index holds 4 chunks and is in use."
    assert "there is no such file or folder; its documents stay as they were." in away.text
    assert not away.is_problem


# Training


async def test_without_a_dataset_training_says_how_to_make_one(desk: Desk) -> None:
    now, forecast = await desk.run("train now"), await desk.run("train forecast")

    assert now == forecast == Notice("There is no dataset yet; make one with `timbre dataset build`.", is_problem=True)
    assert await desk.run("train") == await desk.run("train status") == Notice("There was no training yet.")


async def test_the_last_training_is_told_with_its_figures(desk: Desk) -> None:
    runs_folder = desk.timbre.settings.home / "training" / "runs"
    folder = runs.create(runs_folder, runs.Request("d-1", "base", Budget(60, 0, 0.0)))
    status = runs.Status("trained", step=39, steps=39, loss=0.5, validation_loss=0.25, tokens_per_s=380, seconds_left=0)
    runs.write_status(folder, status)

    assert (await desk.run("train status")).text == f"Run {folder.name}: trained, step 39 of 39, loss 0.500, held-out loss 0.250."


# What destroys asks once


async def asked(desk: Desk) -> tuple[Button, Button]:
    (name,) = desk.sources()
    notice = await desk.run(f"forget source {name}")
    confirm, cancel = notice.buttons
    assert notice.text.startswith(f"Forget `{name}` (") and desk.sources() == [name]
    assert (confirm.control, confirm.is_dangerous, cancel.control) == (Control.CONFIRM, True, Control.CANCEL)
    return confirm, cancel


@pytest.mark.both_databases
async def test_a_source_is_forgotten_after_a_click_and_only_then(desk: Desk) -> None:
    (name,) = desk.sources()
    confirm, _ = await asked(desk)

    notice = await desk.click(confirm)

    assert (notice, desk.sources()) == (Notice(f"Forgot `{name}`: 2 documents."), [])
    assert audited(desk.timbre.database) == [(ADA, "forget source", name, True)] * 2


async def test_a_second_click_does_nothing(desk: Desk) -> None:
    confirm, cancel = await asked(desk)
    await desk.click(confirm)

    for button in (confirm, cancel):
        notice = await desk.click(button)
        assert notice.is_problem and "used already" in notice.text


async def test_a_click_on_cancel_changes_nothing_and_uses_the_other_up(desk: Desk) -> None:
    confirm, cancel = await asked(desk)

    assert await desk.click(cancel) == Notice("Nothing was changed.")
    assert (await desk.click(confirm)).is_problem and len(desk.sources()) == 1


async def test_nobody_else_can_confirm(desk: Desk) -> None:
    confirm, _ = await asked(desk)
    desk.roles.grant(SUE, Role.ADMIN, ROOT)

    notice = await desk.click(confirm, SUE)

    assert notice.is_problem and "Only the person who gave the command" in notice.text
    assert len(desk.sources()) == 1


@pytest.mark.both_databases
async def test_a_role_that_was_taken_away_before_the_click_counts_no_longer(desk: Desk) -> None:
    confirm, _ = await asked(desk)
    desk.roles.revoke(ADA, ROOT)

    notice = await desk.click(confirm)

    assert notice.is_problem and "This takes the role admin" in notice.text
    assert [is_allowed for *_, is_allowed in audited(desk.timbre.database)] == [True, False]
    assert len(desk.sources()) == 1


async def test_ten_minutes_later_a_click_comes_too_late(desk: Desk) -> None:
    confirm, _ = await asked(desk)
    desk.clock.now_s += 601

    assert "older than ten minutes" in (await desk.click(confirm)).text
    assert len(desk.sources()) == 1


async def test_another_source_of_the_name_is_not_forgotten(desk: Desk) -> None:
    (name,) = desk.sources()
    confirm, _ = await asked(desk)
    desk.timbre.knowledge.catalogue.put_source(name, "/srv/elsewhere", ALL)

    notice = await desk.click(confirm)

    assert notice.is_problem and "another source by now" in notice.text
    assert desk.sources() == [name]


# Channels


@pytest.mark.both_databases
async def test_a_channel_is_set_where_the_command_is_given(desk: Desk) -> None:
    (source,) = desk.sources()
    await desk.run(f'here answers unanswered after 5 minutes sources "{source}" private', place=replace(PLACE, thread="t"))

    shown = await desk.run("here")

    assert desk.channels.get(PLACE) == ChannelSettings(Answers.UNANSWERED, 5, (source,), True)
    assert "questions that nobody answered within 5 minutes" in shown.text and f"- sources: {source}" in shown.text
    assert desk.channels.get(replace(PLACE, channel="C2")) == ChannelSettings()


async def test_reading_the_settings_of_a_channel_writes_nothing(desk: Desk) -> None:
    notice = await desk.run("here")

    with desk.timbre.database.reading() as session:
        assert session.exec(select(ChannelRow)).all() == []
    assert "when it is mentioned" in notice.text


async def test_here_is_for_channels_and_for_sources_that_exist(desk: Desk) -> None:
    direct = await desk.run("here private", place=replace(PLACE, channel=""))
    wrong = await desk.run("here sources nope")

    assert direct.is_problem and "for channels" in direct.text
    assert wrong.is_problem and "'nope' is no source. Right would be all or handbook" in wrong.text


# Roles and groups


@pytest.mark.both_databases
@pytest.mark.parametrize("mention", [MIA, f"@{MIA}"])
async def test_an_admin_gives_and_takes_roles(desk: Desk, mention: str) -> None:
    granted = await desk.run(f"roles grant {mention} Support")
    listed = await desk.run("roles")
    revoked = await desk.run(f"roles revoke {mention}")

    assert (granted.text, revoked.text) == (f"Mia (`{MIA}`) is support now.", f"Mia (`{MIA}`) is a plain member now.")
    assert listed.text.splitlines() == [
        f"- Ada (`{ADA}`): admin, by `{ROOT}`",
        f"- Mia (`{MIA}`): support, by `{ADA}`",
        f"- Sue (`{SUE}`): support, by `{ROOT}`",
        f"The first admin is `{ROOT}` (TIMBRE_CHAT__FIRST_ADMIN).",
    ]
    assert desk.roles.role_of(person(MIA)) is Role.MEMBER


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (f"roles grant {MIA} boss", "'boss' is no role. Right would be member, support or admin."),
        (f"roles grant {MIA} suport", "Did you mean support?"),
        ("roles grant @mia support", "'@mia' is no person. Mention them"),
        (f"roles grant {ELSEWHERE} support", "of another workspace"),
        (f"roles revoke {ELSEWHERE}", "of another workspace"),
        (f"groups add {ELSEWHERE} hr", "of another workspace"),
        (f"roles revoke {MIA}", "has no role"),
        (f"groups add {MIA} everyone", "Everybody is in the group"),
        (f"groups remove {MIA} hr", "is not in the group hr"),
    ],
)
async def test_a_change_of_people_that_cannot_be_made_is_told_in_a_sentence(desk: Desk, words: str, sentence: str) -> None:
    before = desk.state()

    notice = await desk.run(words)

    assert notice.is_problem and sentence in notice.text
    assert desk.state() == before


async def test_the_first_admin_manages_every_workspace_and_cannot_be_revoked(desk: Desk) -> None:
    granted = await desk.run(f"roles grant {SUE} admin", ROOT)
    revoked = await desk.run(f"roles revoke {ROOT}", ROOT)

    assert granted.text == f"Sue (`{SUE}`) is admin now."
    assert revoked.is_problem and "TIMBRE_CHAT__FIRST_ADMIN" in revoked.text


@pytest.mark.both_databases
async def test_a_person_who_was_added_to_a_group_reads_what_is_for_it(desk: Desk) -> None:
    added = await desk.run(f'groups add {MIA} "Human Resources"')
    listed = await desk.run("groups")
    is_in = desk.roles.groups_of(MIA)
    removed = await desk.run(f'groups remove {MIA} "Human Resources"')

    assert added.text == f"Mia (`{MIA}`) may read what is for `Human Resources` now. No document names that group yet."
    assert listed.text == f"- `Human Resources`: Mia (`{MIA}`)"
    assert is_in == ALL | {"Human Resources"} and desk.roles.groups_of(MIA) == ALL
    assert removed.text == f"Mia (`{MIA}`) may no longer read what is for `Human Resources`."


# Completions


async def test_completions_are_those_of_the_person(desk: Desk) -> None:
    (source,) = desk.sources()
    desk.timbre.knowledge.catalogue.put_source("staff", "/srv/staff", frozenset({"hr"}))

    offered = {by: list(await desk.commands.complete(person(by), "forget source ")) for by in (MIA, SUE, ADA)}

    assert offered == {MIA: [], SUE: [], ADA: [f"forget source {source}", "forget source staff"]}
    assert list(await desk.commands.complete(person(ADA), f"groups add {MIA} ")) == [f"groups add {MIA} hr"]
    assert list(await desk.commands.complete(person(ADA, is_member=False), "")) == []


# Releases


async def test_an_admin_promotes_a_release_and_rolls_back_after_one_question_each(desk: Desk) -> None:
    first, second = desk.add_release(1), desk.add_release(2)
    desk.registry.promote(first)

    asked = await desk.run(f"promote {second.upper()}")
    assert desk.registry.pointer("current") == first
    promoted = await desk.click(asked.buttons[0])
    assert desk.registry.pointer("current") == second
    rolled_back = await desk.click((await desk.run("rollback")).buttons[0])

    assert f"in place of `{first}`" in asked.text
    assert promoted.text == f"`{second}` serves from the next answer on, in place of `{first}`. To undo it: `/timbre rollback`."
    assert rolled_back.text.endswith(f"To undo it: `/timbre promote {second}`.")
    assert (desk.registry.pointer("current"), desk.tried) == (first, [second])
    assert moves(desk.timbre.database) == [(ADA, "promote", second, first), (ADA, "rollback", first, second)]


def moves(database: Database) -> list[tuple[str, str, str, str]]:
    """(actor, action, what serves, what served before)."""
    with database.reading() as session:
        rows = session.exec(select(AuditRow).order_by(col(AuditRow.id))).all()
        moved = [row for row in rows if row.action in ("promote", "rollback") and "before" in row.details]
        return [(row.actor, row.action, row.subject, row.details["before"]) for row in moved]


async def test_a_release_that_says_nothing_is_not_promoted(desk: Desk) -> None:
    first, second = desk.add_release(1), desk.add_release(2)
    desk.registry.promote(first)
    desk.says_nothing = True

    refused = await desk.click((await desk.run(f"promote {second}")).buttons[0])

    assert (refused.is_problem, desk.registry.pointer("current")) == (True, first)
    assert refused.text == f"Release {second} cannot serve: it says nothing. Nothing was changed."


async def test_releases_are_listed_with_what_serves_and_what_cannot(desk: Desk) -> None:
    first, second = desk.add_release(1), desk.add_release(2)
    desk.registry.promote(first)
    desk.registry.promote(second)
    (desk.home / "releases" / second / "card.json").unlink()

    lines = (await desk.run("releases")).text.splitlines()

    assert lines[0] == f"`{first}` serves; a rollback brings back `{first}`."
    assert lines[1].startswith(f"Release {second} cannot serve: card.json cannot be read. Until that is put right")
    assert any(line.startswith(f"- `{first}`: serves, previous, made ") for line in lines)
    assert any(line.startswith(f"- `{second}`") and "CANNOT SERVE" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("promote r-0123456789ab", "'r-0123456789ab' is no release. There is none yet."),
        ("promote", "Something is missing: `/timbre promote RELEASE`."),
    ],
)
async def test_a_release_that_is_none_is_told(desk: Desk, words: str, complaint: str) -> None:
    assert (await desk.run(words)).text == complaint


async def test_the_base_is_not_rolled_back(desk: Desk) -> None:
    notice = await desk.click((await desk.run("rollback")).buttons[0])

    assert (notice.is_problem, notice.text) == (
        True, "The base model serves without a release; there is nothing to roll back."
    )  # fmt: skip


# Status in words


STANDING = Standing("r-2", "base:tiny", "")
IN_DOUBT = Standing("base:tiny", "base:tiny", "Release r-2 cannot serve: it is not what was written.")


def status(**changes: object) -> Status:
    whole = Status("1.0", GenerationId(3), 1200, "", [], {"slack": True}, {"inbox waiting": 2}, {"helpful": 4}, STANDING)
    return replace(whole, **changes)  # type: ignore[arg-type]  # the names are those of its fields


@pytest.mark.parametrize(
    ("changes", "health"),
    [
        ({}, "All is well."),
        ({"connections": {"slack": True, "discord": False}}, "Not every platform is connected."),
        ({"generation": None, "chunks": 0}, "I have read no documents yet."),
        ({"release": IN_DOUBT}, "My newest voice cannot be used; I go on without it."),
        ({"index_problem": "The index at x does not answer."}, "The index does not answer; I search its copy meanwhile."),
    ],
)
def test_the_health_is_one_sentence(changes: dict[str, object], health: str) -> None:
    assert status_text(status(**changes), Role.SUPPORT) == f"{health} Timbre 1.0."


def test_an_admin_sees_the_sources_with_problems_and_no_others() -> None:
    failed = DocumentStatus(DocumentId(1), "a.pdf", "", "", "", ALL, "failed", "It is broken.")
    sources = [
        SourceSummary(Source(1, "good", "/srv/good", ALL, datetime(2026, 11, 5, tzinfo=UTC), ""), 3, 9, []),
        SourceSummary(Source(2, "bad", "/srv/bad", ALL, None, "Cannot read /srv/bad"), 1, 2, [failed]),
    ]

    assert status_text(status(sources=sources), Role.ADMIN).splitlines() == [
        "All is well. Timbre 1.0, 2 sources.",
        "- index: generation 3, 1,200 chunks",
        "- source `bad`: 1 failed; Cannot read /srv/bad (`/timbre sources`)",
        "- release: `r-2` serves; a rollback brings back `base:tiny`.",
        "- platforms: slack connected",
        "- waiting: inbox waiting 2",
        "- verdicts: helpful 4",
    ]
