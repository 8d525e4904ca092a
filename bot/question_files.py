"""Reads JSONL files of questions; what is wrong with a line is said with its number."""

import json
from pathlib import Path
from typing import Any

from bot.errors import CommandRejected


def read_lines(path: Path) -> list[tuple[int, str]]:
    """(number, line) of every line that is not empty. Raises CommandRejected when the file cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as err:
        raise CommandRejected(f"{path} cannot be read: {err}.") from err
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def read_object(path: Path, number: int, line: str) -> dict[str, Any]:
    """The JSON object of one line. Raises CommandRejected that names the line."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as err:  # numbers of thousands of digits and deep nesting are no JSONDecodeError
        raise CommandRejected(f"{path}, line {number} is no JSON: {getattr(err, 'msg', err)}.") from err
    if not isinstance(row, dict):
        raise CommandRejected(f'{path}, line {number} needs a "question" (text).')
    return row


def check_row(path: Path, number: int, row: dict[str, Any]) -> None:
    """Raises CommandRejected that names the line when it holds no question, or a history of the wrong shape."""
    if not isinstance(row.get("question"), str):
        raise CommandRejected(f'{path}, line {number} needs a "question" (text).')
    history = row.get("history") or []
    is_pairs = isinstance(history, list) and all(
        isinstance(turn, list) and len(turn) == 2 and isinstance(turn[1], str) for turn in history
    )
    if not is_pairs or any(speaker not in ("user", "assistant") for speaker, _ in history):
        raise CommandRejected(f'{path}, line {number}: "history" must be [["user", text], ["assistant", text], ...].')
