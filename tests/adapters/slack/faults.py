"""Faults that the pretended Slack shows on purpose: scripted per method or for all, a number of times or until lifted."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.adapters.slack.reference import Reference
from tests.adapters.slack.state import Json

EVERYWHERE = frozenset(
    "internal_error fatal_error service_unavailable request_timeout ratelimited invalid_auth account_inactive token_revoked "
    "token_expired missing_scope not_authed team_access_not_granted access_denied team_added_to_org".split()
)
"""Errors that any method may return."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong with one call. Without `status` and `error` the call is done as usual."""

    status: int = 200
    error: str | None = None
    retry_after_s: int | None = None
    delay_s: float = 0.0
    loses_reply: bool = False
    """The call is done and the connection dropped before the reply."""
    drops_call: bool = False
    """The connection is dropped before anything is done."""

    @property
    def is_done(self) -> bool:
        """Whether the call takes effect."""
        return self.status == 200 and self.error is None and not self.drops_call


def rate_limited(retry_after_s: int = 1) -> Fault:
    return Fault(status=429, error="ratelimited", retry_after_s=retry_after_s)


def rate_limited_with_200() -> Fault:
    """Slack's other way: HTTP 200 and `ok: false`."""
    return Fault(error="ratelimited")


def unavailable(status: int = 503) -> Fault:
    return Fault(status=status, error="service_unavailable")


def refuses(error: str) -> Fault:
    """HTTP 200 with an error that the method documents."""
    return Fault(error=error)


def loses_reply() -> Fault:
    return Fault(loses_reply=True)


def drops_call() -> Fault:
    return Fault(drops_call=True)


def slow(delay_s: float) -> Fault:
    return Fault(delay_s=delay_s)


@dataclass
class _Planned:
    fault: Fault
    method: str | None
    left: int | None
    after: int
    when: Callable[[Json], bool]


@dataclass
class Faults:
    """The faults to come, asked once per call. Of several that fit, the first that was added happens."""

    reference: Reference | None
    _planned: list[_Planned] = field(default_factory=list)

    def add(
        self,
        fault: Fault,
        method: str | None = None,
        *,
        times: int | None = 1,
        after: int = 0,
        when: Callable[[Json], bool] = lambda arguments: True,
    ) -> None:
        """The next `times` calls of `method` (None: of any) whose arguments satisfy `when` fail so, after `after` good ones;
        `times=None`: until `clear`. ValueError for an error that the method does not document."""
        is_documented = self.reference is None or method is None or fault.error in self._documented(method, self.reference)
        if fault.error and fault.status == 200 and not is_documented:
            raise ValueError(f"{method} does not document the error {fault.error}.")
        self._planned.append(_Planned(fault, method, times, after, when))

    def clear(self) -> None:
        self._planned.clear()

    def next(self, method: str, arguments: Json) -> Fault:
        for planned in list(self._planned):
            if planned.method not in (None, method) or not planned.when(arguments):
                continue
            if planned.after:
                planned.after -= 1
                continue
            if planned.left is not None:
                planned.left -= 1
                if not planned.left:
                    self._planned.remove(planned)
            return replace(planned.fault)
        return Fault()

    def _documented(self, method: str, reference: Reference) -> frozenset[str]:
        return EVERYWHERE | reference.method(method).errors
