"""Who may act on an answer: only members who can see it. What a button carries can be forged, so a click alone proves nothing."""

from collections.abc import Callable

from bot.conversation import ExchangeId
from bot.messages import Person, Place
from bot.storage.exchanges import StoredExchange

MaySee = Callable[[StoredExchange, Person, Place], bool]
"""(exchange, person, where they act) -> whether the person can see the answer."""


def visibility(is_staff: Callable[[Person], bool], is_posted: Callable[[ExchangeId, Place], bool]) -> MaySee:
    """`is_staff`: support or above in their workspace; `is_posted`: a message in that channel shows the exchange to all there."""

    def may_see(exchange: StoredExchange, person: Person, place: Place) -> bool:
        if not person.is_member or not exchange.conversation.startswith(f"{person.workspace}:"):
            return False
        if not exchange.is_private or exchange.asked_by == person.id:
            return True
        return is_posted(exchange.id, place) or is_staff(person)

    return may_see
