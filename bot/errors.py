"""What can go wrong in the conversation.

BotError
├── CommandRejected       the person asked wrongly; the text is meant for them
│   └── NotAllowed        their role does not let them (bot.people)
├── SettingsInvalid       a setting is unknown or has a wrong value
├── DatabaseUnavailable   the database cannot be opened or used
├── PlatformUnavailable   a chat platform cannot be reached now; the same call may work later
├── DeliveryRefused       a chat platform refuses what we send, and will again
└── ModelUnavailable      the language model cannot be loaded or reached
"""

from uuid import uuid4


def fault_id() -> str:
    """Names one fault, in the log and to the person whom it met."""
    return uuid4().hex[:8]


class BotError(Exception):
    """Base of all errors of this package. The text is one sentence that says what to do."""


class CommandRejected(BotError):
    """The person asked wrongly; the text tells them what would be right."""


class SettingsInvalid(BotError):
    """A setting is unknown, missing or of a wrong type."""


class DatabaseUnavailable(BotError):
    """The database cannot be opened or used."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"The database {url} cannot be used: {reason}.")


class ModelUnavailable(BotError):
    """The language model cannot be loaded or reached."""


class PlatformUnavailable(BotError):
    """A chat platform cannot be reached now. `retry_after_s`: how long it asks us to wait, 0 when it does not say."""

    def __init__(self, platform: str, reason: str, retry_after_s: float = 0) -> None:
        super().__init__(f"{platform} cannot be reached: {reason}.")
        self.retry_after_s = retry_after_s


class DeliveryRefused(BotError):
    """A chat platform refuses what we send, and will refuse it again."""

    def __init__(self, platform: str, reason: str) -> None:
        super().__init__(f"{platform} refuses: {reason}.")
