"""`/timbre`: does what the words ask for, when the person's role allows it at that moment. Knows nothing of any platform.

The role is checked and the try recorded before anything is done; what destroys is done after a click, and a second check.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bot.channels import changed, described
from bot.command_words import Request, completions, help_text, new_source, parse, two
from bot.confirmations import Confirmations
from bot.errors import CommandRejected
from bot.knowledge_parts import Knowledge
from bot.listings import code, list_notice, report_lines, source_lines
from bot.long_work import LongWork, Say, Work, say_nothing
from bot.messages import Button, Click, Command, Control, Notice, Person, PersonId, Place, Section
from bot.people import Role, RoleBook, person_id
from bot.ports import NameOf, Put
from bot.releases import Releases, release_line, standing_lines
from bot.sources import Planned, Sources
from bot.spelling import right_word
from bot.status import Status, status_text
from bot.storage.channels import ChannelStore
from bot.storage.training import TrainingStore
from bot.training_runs import TrainingRuns, in_words, step_in_words
from knowledge.catalogue import STANDARD_ANSWERS, Source
from knowledge.documents import EVERYONE
from knowledge.errors import KnowledgeError
from knowledge.ingestion import Progress
from training.errors import TrainingError


@dataclass(frozen=True)
class _Task:
    command: Command
    request: Request
    say: Say

    @property
    def person(self) -> Person:
        return self.command.person

    @property
    def place(self) -> Place:
        return self.command.place


class Commands:
    """Runs commands. `mine` and `queue` give a person their last questions and what waits for review."""

    def __init__(
        self,
        roles: RoleBook,
        channels: ChannelStore,
        training: TrainingStore,
        knowledge: Knowledge,
        releases: Releases,
        training_runs: TrainingRuns,
        read_status: Callable[[], Status],
        mine: Callable[[Person], Awaitable[Section]],
        queue: Callable[[Person], Awaitable[Section]],
        name_of: NameOf,
        put: Put,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._roles = roles
        self._channels = channels
        self._training = training
        self._catalogue = knowledge.catalogue
        self._sources = Sources(knowledge)
        self._releases = releases
        self._training_runs = training_runs
        self._read_status = read_status
        self._mine = mine
        self._queue = queue
        self._name_of = name_of
        self._long_work = LongWork(put, clock_s)
        self._confirmations: Confirmations[tuple[Request, Work]] = Confirmations(clock_s)
        self._handlers: Mapping[str, Callable[[_Task], Awaitable[Notice]]] = {
            "help": self._help,
            "who-am-i": self._who_am_i,
            "mine": self._show_mine,
            "status": self._status,
            "training opt-out": self._opt_out,
            "training opt-in": self._opt_in,
            "queue": self._show_queue,
            "sources": self._list_sources,
            "reindex": self._reindex,
            "add source": self._add_source,
            "forget source": self._forget_source,
            "releases": self._list_releases,
            "promote": self._promote,
            "rollback": self._roll_back,
            "train now": self._train_now,
            "train forecast": self._forecast_training,
            "train status": self._training_status,
            "here": self._here,
            "roles list": self._list_roles,
            "roles grant": self._grant,
            "roles revoke": self._revoke,
            "groups list": self._list_groups,
            "groups add": self._add_to_group,
            "groups remove": self._remove_from_group,
        }

    async def run(self, command: Command, say: Say) -> Notice:
        """Does what the words ask for. What the person asked wrongly, or may not, is a sentence. Raises DatabaseUnavailable."""
        try:
            task = _Task(command, await self._understood(command), say)
            await self._require(command.person, task.request)
            return await self._handlers[task.request.verb.words](task)
        except (CommandRejected, KnowledgeError, TrainingError) as err:
            return Notice(str(err), is_problem=True)

    async def confirm(self, click: Click, say: Say = say_nothing) -> Notice:
        """Does what waits for Confirm or Cancel; the role counts that the person has now. Raises DatabaseUnavailable."""
        try:
            request, work = self._confirmations.take(click.person.id, click.subject)
            if click.control is Control.CANCEL:
                return Notice("Nothing was changed.")
            await self._require(click.person, request)
            return await self._long_work.run(click.person, work, say)
        except CommandRejected as err:
            return Notice(str(err), is_problem=True)

    async def complete(self, person: Person, words: str) -> Sequence[str]:
        """Whole commands that the person may give and that begin with the words; for who is no member none."""
        return await asyncio.to_thread(self._completions, person, words)

    async def _understood(self, command: Command) -> Request:
        """Who may not even ask for help is told so, not what would have been right."""
        try:
            return parse(command.words)
        except CommandRejected:
            await asyncio.to_thread(self._roles.require, command.person, Role.MEMBER, "unknown command")
            raise

    async def _require(self, person: Person, request: Request) -> None:
        await asyncio.to_thread(self._roles.require, person, request.verb.needs, request.verb.words, request.subject)

    # For everybody

    async def _help(self, task: _Task) -> Notice:
        return Notice(help_text(await self._role(task.person)))

    async def _who_am_i(self, task: _Task) -> Notice:
        groups = await asyncio.to_thread(self._roles.groups_of, task.person.id)
        role = await self._role(task.person)
        return Notice(f"You are {task.person.name}, `{task.person.id}`. Role: {role}. Groups: {', '.join(sorted(groups))}.")

    async def _show_mine(self, task: _Task) -> Notice:
        return list_notice(await self._mine(task.person))

    async def _status(self, task: _Task) -> Notice:
        status = await asyncio.to_thread(self._read_status)
        return Notice(status_text(status, await self._role(task.person)))

    async def _opt_out(self, task: _Task) -> Notice:
        is_new = await asyncio.to_thread(self._training.opt_out, task.person.id, task.person.id)
        done = "From now on nothing is learned" if is_new else "Nothing is learned"
        return Notice(f"{done} from what you ask and say. `/timbre training opt-in` changes that.")

    async def _opt_in(self, task: _Task) -> Notice:
        is_new = await asyncio.to_thread(self._training.opt_in, task.person.id, task.person.id)
        done = "From now on" if is_new else "As before,"
        return Notice(f"{done} what you ask and say may improve the voice of answers, without your name.")

    # For support

    async def _show_queue(self, task: _Task) -> Notice:
        return list_notice(await self._queue(task.person))

    async def _list_sources(self, task: _Task) -> Notice:
        summaries = await asyncio.to_thread(self._catalogue.summaries)
        lines = [line for summary in summaries for line in source_lines(summary)]
        return Notice("\n".join(lines) or "No sources yet. An admin adds one with `/timbre add source PLACE`.")

    # For admins: sources

    async def _reindex(self, task: _Task) -> Notice:
        sources = [(await self._source(name)).name for name in task.request.arguments]
        return await self._long_work.run(task.person, partial(self._reindexed, sources), task.say)

    async def _add_source(self, task: _Task) -> Notice:
        new = new_source(task.request.arguments)
        planned = await asyncio.to_thread(self._sources.describe, new.place, new.name, new.audience)
        return await self._long_work.run(task.person, partial(self._ingested, planned), task.say)

    async def _forget_source(self, task: _Task) -> Notice:
        source = await self._source(" ".join(task.request.arguments))
        question = f"Forget {code(source.name)} ({code(source.place)}) and all that was read from it? The files stay."
        return self._asked(task, question, "Forget it", partial(self._forgotten, source))

    def _reindexed(self, sources: Sequence[str], progress: Progress) -> str:
        reports, problems, chunks = self._sources.reindex(sources, progress)
        lines = [line for report in reports for line in report_lines(report)]
        lines += [f"- {problem.rstrip('.')}; its documents stay as they were." for problem in problems]
        return "\n".join([*lines, f"The new index holds {chunks:,} chunks and is in use."])

    def _ingested(self, planned: Planned, progress: Progress) -> str:
        report = self._sources.ingest(planned, progress)
        return "\n".join([*report_lines(report), f"Its readers: {', '.join(sorted(planned.audience))}."])

    def _forgotten(self, source: Source, progress: Progress) -> str:
        now = self._catalogue.source(source.name)
        if (now.id, now.place) != (source.id, source.place):
            raise CommandRejected(f"{source.name} is another source by now; give the command again.")
        return f"Forgot {code(source.name)}: {self._sources.forget(now, progress):,} documents."

    # For admins: releases

    async def _list_releases(self, task: _Task) -> Notice:
        found, standing = await asyncio.to_thread(lambda: (self._releases.all(), self._releases.standing()))
        lines = [*standing_lines(standing), *(f"- {release_line(release, standing)}" for release in found)]
        return Notice("\n".join(lines))

    async def _promote(self, task: _Task) -> Notice:
        release = await asyncio.to_thread(self._releases.known, " ".join(task.request.arguments))
        serving = (await asyncio.to_thread(self._releases.standing)).serving
        question = f"Let {code(release)} answer everybody, in place of {code(serving)}? `/timbre rollback` undoes it."
        return self._asked(task, question, "Promote it", partial(self._promoted, release, task.person.id))

    async def _roll_back(self, task: _Task) -> Notice:
        standing = await asyncio.to_thread(self._releases.standing)
        question = f"Let {code(standing.previous)} answer everybody again, in place of {code(standing.serving)}?"
        return self._asked(task, question, "Roll back", partial(self._rolled_back, task.person.id))

    def _promoted(self, release: str, by: PersonId, progress: Progress) -> str:
        progress(f"loading {release}", 0, 0)
        return self._releases.promote(release, by).text.replace("`timbre ", "`/timbre ")

    def _rolled_back(self, by: PersonId, progress: Progress) -> str:
        return self._releases.rollback(by).text.replace("`timbre ", "`/timbre ")

    # For admins: training

    async def _train_now(self, task: _Task) -> Notice:
        return await self._long_work.run(task.person, partial(self._trained, False), task.say)

    async def _forecast_training(self, task: _Task) -> Notice:
        return await self._long_work.run(task.person, partial(self._trained, True), task.say)

    async def _training_status(self, task: _Task) -> Notice:
        run = await asyncio.to_thread(self._training_runs.last)
        return Notice(in_words(run) if run else "There was no training yet.")

    def _trained(self, is_forecast: bool, progress: Progress) -> str:
        """The run is a process of its own, and goes on where this server ends meanwhile."""
        run = self._training_runs.start(is_forecast=is_forecast)
        ended = self._training_runs.follow(run, lambda run: progress(step_in_words(run), run.status.step, run.status.steps))
        if is_forecast and ended.status.forecast and not ended.status.why:
            return f"A training takes {ended.status.forecast}."
        return in_words(ended)

    # For admins: channels, roles, groups

    async def _here(self, task: _Task) -> Notice:
        if not task.place.channel:
            raise CommandRejected("That is for channels; give the command in one.")
        names = [source.name for source in await asyncio.to_thread(self._known_sources)]
        before = await asyncio.to_thread(self._channels.get, task.place)
        after = changed(before, task.request.arguments, names)
        if task.request.arguments:
            await asyncio.to_thread(self._channels.put, task.place, after, task.person.id)
        return Notice(f"In this channel:\n{described(after)}")

    async def _list_roles(self, task: _Task) -> Notice:
        grants = [
            grant for grant in await asyncio.to_thread(self._roles.grants) if self._roles.may_manage(task.person, grant.person)
        ]
        lines = [f"- {await self._named(grant.person)}: {grant.role}, by `{grant.granted_by}`" for grant in grants]
        return Notice("\n".join([*lines, self._roles.first_admin_note]))

    async def _grant(self, task: _Task) -> Notice:
        name, role_word = two(task.request)
        person, role = self._managed(task.person, name), Role(right_word(role_word, list(Role), "role"))
        await asyncio.to_thread(self._roles.grant, person, role, task.person.id)
        return Notice(f"{await self._named(person)} is {role} now.")

    async def _revoke(self, task: _Task) -> Notice:
        person = self._managed(task.person, " ".join(task.request.arguments))
        await asyncio.to_thread(self._roles.revoke, person, task.person.id)
        return Notice(f"{await self._named(person)} is a plain member now.")

    async def _list_groups(self, task: _Task) -> Notice:
        lines = [
            f"- {code(membership.group)}: {await self._named(membership.person)}"
            for membership in await asyncio.to_thread(self._roles.memberships)
            if self._roles.may_manage(task.person, membership.person)
        ]
        return Notice("\n".join(lines) or f"Nobody is in a group yet; everybody reads what is for {EVERYONE}.")

    async def _add_to_group(self, task: _Task) -> Notice:
        name, group = two(task.request)
        person = self._managed(task.person, name)
        known = await asyncio.to_thread(self._catalogue.groups)
        group = await asyncio.to_thread(self._roles.add_to_group, person, group, task.person.id)
        hint = "" if group in known else " No document names that group yet."
        return Notice(f"{await self._named(person)} may read what is for {code(group)} now.{hint}")

    async def _remove_from_group(self, task: _Task) -> Notice:
        name, group = two(task.request)
        person = self._managed(task.person, name)
        group = await asyncio.to_thread(self._roles.remove_from_group, person, group, task.person.id)
        return Notice(f"{await self._named(person)} may no longer read what is for {code(group)}.")

    # What they share

    def _asked(self, task: _Task, question: str, yes: str, work: Work) -> Notice:
        """The question whether to do it; it is done after a click on `yes`."""
        token = self._confirmations.put(task.person.id, (task.request, work))
        buttons = Button(Control.CONFIRM, token, yes, is_dangerous=True), Button(Control.CANCEL, token, "Cancel")
        return Notice(question, buttons)

    async def _role(self, person: Person) -> Role:
        return await asyncio.to_thread(self._roles.role_of, person) or Role.MEMBER

    async def _named(self, person: PersonId) -> str:
        name = await self._name_of(person)
        return f"`{person}`" if name == person else f"{name} (`{person}`)"

    def _managed(self, admin: Person, name: str) -> PersonId:
        person = person_id(name)
        if not self._roles.may_manage(admin, person):
            raise CommandRejected(
                f"{person} is of another workspace; only its own admins and the first admin manage people there."
            )
        return person

    def _known_sources(self) -> list[Source]:
        """Those that were added; approved corrections are none that could be forgotten or left out."""
        return [source for source in self._catalogue.sources() if source.name != STANDARD_ANSWERS]

    async def _source(self, name: str) -> Source:
        sources = {source.name: source for source in await asyncio.to_thread(self._known_sources)}
        return sources[right_word(name, list(sources), "source")]

    def _completions(self, person: Person, words: str) -> list[str]:
        role = self._roles.role_of(person)
        if role is None:
            return []
        is_admin = role is Role.ADMIN
        sources = [source.name for source in self._known_sources()] if is_admin else []
        groups = self._catalogue.groups() - {EVERYONE} if is_admin and words.lstrip().startswith("groups") else frozenset()
        releases = self._releases.ids() if is_admin else []
        return completions(words, role, sources, sorted(groups), releases)
