"""Addresses of databases as people may see them (pure)."""

import re

_PASSWORD = re.compile(r"(://[^:/?#@]*:).*@")  # up to the last @: an unencoded one may be in the password
_PASSWORD_SETTING = re.compile(r"([?&][^=&]*password[^=&]*=)[^&]*", re.IGNORECASE)


def without_passwords(address: str) -> str:
    """The address with *** in place of every password, also where it is no valid address."""
    return _PASSWORD_SETTING.sub(r"\1***", _PASSWORD.sub(r"\1***@", address))
