"""What every command begins with: the settings, logging as they say, and who types."""

import getpass

from bot.logs import set_up_logging
from bot.settings import Settings, load


def settings_in_force() -> Settings:
    """The settings of this process, from when on it logs as they say. Raises SettingsInvalid."""
    settings = load()
    set_up_logging(settings.log_level)
    return settings


def account() -> str:
    """The account that the program runs under."""
    return getpass.getuser()


def operator() -> str:
    """Who types, as exchanges and audit name them."""
    return f"console:{account()}"
