"""What can go wrong in the conversation.

BotError
├── CommandRejected       the person asked wrongly; the text is meant for them
├── SettingsInvalid       a setting is unknown or has a wrong value
├── DatabaseUnavailable   the database cannot be opened or used
└── ModelUnavailable      the language model cannot be loaded or reached
"""


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
