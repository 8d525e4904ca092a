"""What can go wrong with a REST call, scripted: the next matching calls meet the fault."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.adapters.discord.call import Call


@dataclass(frozen=True)
class RateLimited:
    """429 as Discord's API sends it; without `via` as Cloudflare does, which discord.py does not wait for."""

    retry_after_s: float = 0.05
    is_global: bool = False
    via: bool = True


@dataclass(frozen=True)
class HttpFailure:
    """500, 502 or 503 with a page of HTML, as from the proxy in front."""

    status: int = 502


@dataclass(frozen=True)
class Refused:
    """An error of Discord's API, by its code."""

    code: int


@dataclass(frozen=True)
class Dropped:
    """The connection ends without a reply: before the call was done, or `after_doing` it."""

    after_doing: bool = False


@dataclass(frozen=True)
class Slow:
    """The call is done `seconds` late."""

    seconds: float


Fault = RateLimited | HttpFailure | Refused | Dropped | Slow


@dataclass
class Scripted:
    fault: Fault
    operation: str | None
    times: int | None  # None: for ever
    applies: Callable[[Call], bool]


@dataclass
class Faults:
    scripted: list[Scripted] = field(default_factory=list)

    def add(
        self,
        fault: Fault,
        operation: str | None = None,
        *,
        times: int | None = 1,
        when: Callable[[Call], bool] = lambda call: True,
    ) -> None:
        """The next `times` calls of that operation (operationId; None: any), for which `when` holds, meet the fault."""
        self.scripted.append(Scripted(fault, operation, times, when))

    def clear(self) -> None:
        self.scripted.clear()

    def next_for(self, call: Call) -> Fault | None:
        """The fault that this call meets, used up by one."""
        for each in self.scripted:
            if each.operation in (None, call.operation) and each.applies(call):
                if each.times is not None:
                    each.times -= 1
                if each.times == 0:
                    self.scripted.remove(each)
                return each.fault
        return None
