"""What Slack sends to the app and what becomes of it: attempts, acknowledgements, repetitions, giving up.

Knows nothing of sockets or HTTP: a `Carrier` takes one attempt at a time and later reports how it went."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Literal, Protocol

from tests.adapters.slack.state import Clock, Json

Kind = Literal["events_api", "interactive", "slash_commands"]
NOBODY_THERE = "timeout"


@dataclass
class Attempt:
    at: float
    envelope_id: str
    carried_by: str | None
    """The socket or address that it went to; None where nothing was open."""
    retry_reason: str


@dataclass
class Delivery:
    """One event or interaction on its way to the app."""

    number: int
    kind: Kind
    payload: Json
    made_at: float
    attempts: list[Attempt] = field(default_factory=list)
    acked_at: float | None = None
    ack: Json = field(default_factory=dict)
    given_up_at: float | None = None
    settled: asyncio.Event | None = None
    """Set once acknowledged or given up; interactions have one, for somebody waits for them."""

    @property
    def is_open(self) -> bool:
        return self.acked_at is None and self.given_up_at is None

    @property
    def event_type(self) -> str | None:
        """`message`, `app_mention` ...; None for what is no event."""
        return self.payload["event"]["type"] if self.kind == "events_api" else None


class Carrier(Protocol):
    """Takes deliveries to the app. Reports to `Deliveries.acknowledge` and `Deliveries.failed`."""

    timeout_reason: str
    """How Slack calls it when time is up."""

    @property
    def is_open(self) -> bool: ...

    def carry(self, delivery: Delivery, attempt: Attempt) -> str | None:
        """Starts one attempt and returns where it went."""
        ...


@dataclass(frozen=True)
class Patience:
    """When Slack repeats itself. Slack's own: 3 s, then at once, after 1 and after 5 minutes; 6 minutes in all."""

    ack_within_s: float = 3.0
    retries_s: tuple[float, ...] = (0.1, 1.0, 5.0)
    """How long after a failed attempt the next one is made; one number per repetition."""
    keeps_for_s: float = 360.0
    """How long an event waits while nothing is open to take it."""


class Deliveries:
    def __init__(self, clock: Clock, patience: Patience, on_change: Callable[[], None]) -> None:
        self.clock = clock
        self.patience = patience
        self.carrier: Carrier | None = None
        self.all: list[Delivery] = []
        self.late_acks: list[str] = []
        """Envelopes that were acknowledged twice, too late, or that never existed."""
        self._on_change = on_change
        self._numbers = count(1)
        self._by_envelope: dict[str, Delivery] = {}
        self._open: dict[int, Delivery] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._waiting: deque[Delivery] = deque()

    def send(self, kind: Kind, payload: Json) -> Delivery:
        """Sends an event (repeated until acknowledged or given up) or an interaction (once)."""
        delivery = Delivery(next(self._numbers), kind, payload, self.clock.now())
        if kind != "events_api":
            delivery.settled = asyncio.Event()
        self.all.append(delivery)
        self._open[delivery.number] = delivery
        self._attempt(delivery)
        return delivery

    def acknowledge(self, envelope_id: str, ack: Json | None = None) -> None:
        delivery = self._by_envelope.get(envelope_id)
        if delivery is None or not delivery.is_open:
            self.late_acks.append(envelope_id)
            return
        delivery.acked_at, delivery.ack = self.clock.now(), ack or {}
        self._settle(delivery)

    def failed(self, envelope_id: str, reason: str) -> None:
        """An attempt came to nothing: time is up, the address refused it or could not be reached."""
        delivery = self._by_envelope.get(envelope_id)
        if delivery is None or not delivery.is_open or delivery.attempts[-1].envelope_id != envelope_id:
            return
        tries = len(delivery.attempts)
        if delivery.kind != "events_api" or tries > len(self.patience.retries_s):
            self._give_up(delivery)
            return
        self._later(delivery, self.patience.retries_s[tries - 1], lambda: self._attempt(delivery, reason))

    def give_up(self, envelope_id: str) -> None:
        """No further attempts."""
        delivery = self._by_envelope.get(envelope_id)
        if delivery and delivery.is_open:
            self._give_up(delivery)

    def carrier_opened(self) -> None:
        """Sends what had to wait, unless it waited too long."""
        while self._waiting and self.carrier and self.carrier.is_open:
            self._attempt(self._waiting.popleft(), NOBODY_THERE)

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    @property
    def open(self) -> list[Delivery]:
        """Neither acknowledged nor given up, oldest first."""
        return list(self._open.values())

    def _attempt(self, delivery: Delivery, reason: str = "") -> None:
        self._timers.pop(delivery.number, None)
        if not delivery.is_open:
            return
        if self.carrier is None or not self.carrier.is_open:
            self._nobody_there(delivery)
            return
        if delivery.attempts and self.clock.now() - delivery.made_at > self.patience.keeps_for_s:
            self._give_up(delivery)
            return
        attempt = Attempt(self.clock.now(), f"envelope-{delivery.number}-{len(delivery.attempts)}", None, reason)
        delivery.attempts.append(attempt)
        self._by_envelope[attempt.envelope_id] = delivery
        reason_to_fail = self.carrier.timeout_reason
        self._later(delivery, self.patience.ack_within_s, lambda: self.failed(attempt.envelope_id, reason_to_fail))
        attempt.carried_by = self.carrier.carry(delivery, attempt)

    def _nobody_there(self, delivery: Delivery) -> None:
        if not delivery.attempts:  # counts as the first attempt: what comes later is marked as a repetition
            delivery.attempts.append(Attempt(self.clock.now(), f"envelope-{delivery.number}-0", None, ""))
        if delivery.kind != "events_api" or not self.patience.keeps_for_s:
            self._give_up(delivery)
        else:
            self._waiting.append(delivery)

    def _give_up(self, delivery: Delivery) -> None:
        delivery.given_up_at = self.clock.now()
        self._settle(delivery)

    def _settle(self, delivery: Delivery) -> None:
        self._open.pop(delivery.number, None)
        if timer := self._timers.pop(delivery.number, None):
            timer.cancel()
        if delivery.settled:
            delivery.settled.set()
        self._on_change()

    def _later(self, delivery: Delivery, delay_s: float, act: Callable[[], None]) -> None:
        if timer := self._timers.pop(delivery.number, None):
            timer.cancel()
        self._timers[delivery.number] = asyncio.get_running_loop().call_later(delay_s, act)
