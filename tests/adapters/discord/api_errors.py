"""Discord's error replies: an HTTP status, a code of its own and a text."""

from tests.adapters.discord.world import Json

# code -> HTTP status, text; from Discord's list of JSON error codes
KNOWN: dict[int, tuple[int, str]] = {
    0: (404, "404: Not Found"),
    10003: (404, "Unknown Channel"),
    10004: (404, "Unknown Guild"),
    10007: (404, "Unknown Member"),
    10008: (404, "Unknown Message"),
    10013: (404, "Unknown User"),
    10015: (404, "Unknown Webhook"),
    10062: (404, "Unknown interaction"),
    10063: (404, "Unknown application command"),
    40001: (401, "Unauthorized"),
    40060: (400, "Interaction has already been acknowledged."),
    50001: (403, "Missing Access"),
    50005: (403, "Cannot edit a message authored by another user"),
    50006: (400, "Cannot send an empty message"),
    50007: (403, "Cannot send messages to this user"),
    50008: (400, "Cannot send messages in a non-text channel"),
    50013: (403, "Missing Permissions"),
    50024: (400, "Cannot execute action on this channel type"),
    50027: (401, "Invalid Webhook Token"),
    50035: (400, "Invalid Form Body"),
    50083: (400, "Thread is archived"),
    160004: (400, "A thread has already been created for this message"),
    160005: (400, "Thread is locked"),
}


class ApiError(Exception):
    """A call that Discord refuses."""

    def __init__(self, status: int, code: int, text: str, errors: Json | None = None) -> None:
        super().__init__(f"{code} {text}")
        self.status = status
        self.body: Json = {"message": text, "code": code, **({"errors": errors} if errors else {})}


def refusal(code: int, errors: Json | None = None) -> ApiError:
    """The error of that code."""
    status, text = KNOWN[code]
    return ApiError(status, code, text, errors)


def unauthorized() -> ApiError:
    return ApiError(401, 0, "401: Unauthorized")


def form_errors(mistakes: list[tuple[tuple[str | int, ...], str]]) -> Json:
    """Discord's nested shape: `{"content": {"_errors": [{"code": ..., "message": ...}]}}`."""
    tree: Json = {}
    for path, text in mistakes:
        node = tree
        for step in path:
            node = node.setdefault(str(step), {})
        node.setdefault("_errors", []).append({"code": "BASE_TYPE_INVALID", "message": text})
    return tree
