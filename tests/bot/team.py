"""People of a workspace, what they ask, and what the outbox holds for them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlmodel import col, select

from bot.conversation import Exchange, Question
from bot.main import Timbre
from bot.messages import Delivery, Person, PersonId, Place
from bot.review import ReviewQueue
from bot.storage.chat_tables import OutboxRow
from bot.storage.intake import IntakeStore
from bot.storage.review import ReviewStore
from bot.visibility import MaySee, visibility
from knowledge.documents import Audience
from tests.bot.conftest import ALL

QUESTION = "How many days of annual leave do full-time employees get?"
CHANNEL = Place("slack", "T1", "C1")


def member(name: str, workspace: str = "T1") -> Person:
    return Person(PersonId(f"slack:{workspace}:{name.upper()}"), name.title(), is_member=True)


ANN, BOB, CAT, SUE, SAM = (member(name) for name in ("ann", "bob", "cat", "sue", "sam"))
"""Sue and Sam are support staff."""
STRANGER = member("tom", "T2")
GUEST = Person(PersonId("slack:T1:GUS"), "Gus", is_member=False)


def is_staff(person: Person) -> bool:
    return person.is_member and person.id in (SUE.id, SAM.id)


def may_see(timbre: Timbre) -> MaySee:
    return visibility(is_staff, IntakeStore(timbre.database).is_posted)


async def name_of(person: PersonId) -> str:
    return person.rpartition(":")[2].title()


async def ask(
    timbre: Timbre, text: str = QUESTION, audience: Audience = ALL, by: Person = ANN, is_private: bool = False
) -> Exchange:
    conversation = f"{CHANNEL.conversation}10"
    question = Question(text, audience, asked_by=by.id, conversation=conversation, is_private=is_private)
    return await timbre.engine.answer(question)


async def put(timbre: Timbre, delivery: Delivery) -> None:
    IntakeStore(timbre.database).put_delivery(delivery, datetime.now(UTC))


def queue_of(timbre: Timbre) -> ReviewQueue:
    """Its receipts go to the outbox."""
    return ReviewQueue(
        ReviewStore(timbre.database), timbre.exchanges, timbre.feedback, lambda delivery: put(timbre, delivery), name_of
    )  # fmt: skip


def outbox(timbre: Timbre) -> Sequence[tuple[str, str]]:
    """(key, text) of every reply on its way."""
    with timbre.database.reading() as session:
        rows = session.exec(select(OutboxRow).order_by(col(OutboxRow.key))).all()
        return [(row.key, (row.delivery or {})["reply"]["text"]) for row in rows]
