"""Addresses of databases, as people may see them."""

import pytest

from bot.storage.address import without_passwords


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://ann:hunter2@host:5432/db", "postgresql://ann:***@host:5432/db"),
        ("postgresql://ann:hun@t/er:2@host/db", "postgresql://ann:***@host/db"),
        ("postgresql://host/db?user=ann&password=hunter2&sslmode=require", "postgresql://host/db?user=ann&password=***&sslmode=require"),
        ("postgresql://ann@host/db?sslpassword=hunter2", "postgresql://ann@host/db?sslpassword=***"),
        ("postgresql://ann@host/db", "postgresql://ann@host/db"),
        ("sqlite:////data/a:b@c/timbre.db", "sqlite:////data/a:b@c/timbre.db"),
        ("", ""),
    ],
)  # fmt: skip
def test_no_password_is_shown(address: str, shown: str) -> None:
    assert without_passwords(address) == shown
