"""Rows as tokens, and the batches that they are learnt in (pure, but for the tokenizer).

Rows that open alike (the same system message) are put side by side, so that a model reads what they share once.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

POOL_BATCHES = 8  # batches that are sorted by length together: enough to save padding, and the order stays random
MIN_OPENING_TOKENS = 16  # a shorter one is read faster with its rows than apart

Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class EncodedRow:
    """Token ids. The model learns the completion; `opening` are the first tokens of the prompt, which others may share."""

    opening: tuple[int, ...]
    prompt: tuple[int, ...]
    completion: tuple[int, ...]

    @property
    def tokens(self) -> int:
        return len(self.prompt) + len(self.completion)


def encode(tokenizer: Any, prompt: Messages, completion: str) -> EncodedRow:
    """The prompt as inference reads it, and the completion up to its end of turn."""
    messages = [dict(message) for message in prompt]
    asked = _text(tokenizer, messages, opens_answer=True)
    told = _text(tokenizer, [*messages, {"role": "assistant", "content": completion}], opens_answer=False)
    # Some templates write past turns otherwise than the one to be answered; then the end of the turn is the end of text.
    said = told.removeprefix(asked) if told.startswith(asked) else completion + tokenizer.eos_token
    other = _text(tokenizer, [*messages[:-1], {**messages[-1], "content": "?"}], opens_answer=True)
    asked_ids = _ids(tokenizer, asked)
    return EncodedRow(
        _shared(asked_ids, _ids(tokenizer, other)), asked_ids, _until_end(_ids(tokenizer, said), tokenizer.eos_token_id)
    )


def batches(rows: Sequence[EncodedRow], batch_rows: int, seed: int, epoch: int) -> list[Sequence[EncodedRow]]:
    """An epoch's batches: every row once, those of similar length together, in an order that seed and epoch decide."""
    order = random.Random(f"{seed}-{epoch}")
    shuffled = order.sample(rows, len(rows))
    pools = _runs(shuffled, batch_rows * POOL_BATCHES)
    made = [batch for pool in pools for batch in _runs(sorted(pool, key=lambda row: row.tokens), batch_rows)]
    order.shuffle(made)
    return made


def micro_batches(batch: Sequence[EncodedRow], max_tokens: int) -> Iterator[Sequence[EncodedRow]]:
    """Parts of a batch that are computed at once: rows with one opening, no more than so many tokens unless one row has them."""
    groups: dict[tuple[int, ...], list[EncodedRow]] = defaultdict(list)
    for row in sorted(batch, key=lambda row: row.tokens):
        groups[row.opening].append(row)
    for rows in groups.values():
        part: list[EncodedRow] = []
        for row in rows:
            if part and (len(part) + 1) * (row.tokens - len(row.opening)) + len(row.opening) > max_tokens:
                yield part
                part = []
            part.append(row)
        yield part


def _text(tokenizer: Any, messages: Sequence[Mapping[str, str]], *, opens_answer: bool) -> str:
    return str(tokenizer.apply_chat_template(list(messages), add_generation_prompt=opens_answer, tokenize=False))


def _ids(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def _shared(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    shared = [pair[0] for pair in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))]
    return tuple(shared) if MIN_OPENING_TOKENS <= len(shared) < len(one) else ()


def _until_end(ids: tuple[int, ...], end: int) -> tuple[int, ...]:
    return ids[: ids.index(end) + 1] if end in ids else ids


def _runs(rows: Sequence[EncodedRow], length: int) -> list[Sequence[EncodedRow]]:
    return [rows[start : start + length] for start in range(0, len(rows), length)]
