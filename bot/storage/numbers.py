"""Numbers of rows as they come back from platforms, where anybody may have changed them."""

MAX_DIGITS = 9  # what every database's integer holds


def row_number(text: str) -> int:
    """The number; 0, which no row has, for what is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS else 0
