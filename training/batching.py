"""Rows that a model generates together. Each keeps the states of its own tokens, so that rows join and leave between two tokens.

Knows nothing of threads or of who asks. `generate` of transformers makes the tokens; here its cache is put together and parted.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import Cache

Messages = Sequence[dict[str, str]]
States = Sequence[tuple["torch.Tensor", "torch.Tensor"]]
"""Keys and values of each layer, (1, heads, tokens, dimensions)."""


@dataclass
class Request:
    """What is asked of the model, and where its answer goes."""

    messages: Messages
    max_new_tokens: int
    on_text: Callable[[str], None]
    lora: Path | None = None
    done: "Future[None]" = field(default_factory=Future)
    cancelled: threading.Event = field(default_factory=threading.Event)


class Row:
    """One request on its way: the tokens of its prompt and its answer, and the states of the first of them."""

    def __init__(self, request: Request, tokenizer: Any, prompt: Sequence[int], eos: Collection[int]) -> None:
        self.request = request
        self.tokens = list(prompt)
        self.states: States = ()
        self._tokenizer = tokenizer
        self._eos = eos
        self._prompt_tokens = len(prompt)
        self._sent = ""

    @property
    def room(self) -> int:
        """The tokens that may still follow."""
        return self.request.max_new_tokens - len(self._answer)

    @property
    def is_over(self) -> bool:
        request, answer = self.request, self._answer
        return request.done.done() or self.room <= 0 or request.cancelled.is_set() or bool(answer and answer[-1] in self._eos)

    def take(self, token: int) -> None:
        """Adds the token and hands its text to the request, as far as its characters are whole."""
        if self.is_over:
            return
        self.tokens.append(token)
        text = self._text()
        if not text.endswith("\ufffd"):  # half of a character that takes several tokens
            self._send(text)
        if self.is_over:
            self.finish()

    def finish(self) -> None:
        """Hands over what is left of the text and resolves `done`."""
        self._send(self._text())
        if not self.request.done.done():
            self.request.done.set_result(None)

    @property
    def _answer(self) -> list[int]:
        return self.tokens[self._prompt_tokens :]

    def _text(self) -> str:
        return str(self._tokenizer.decode(self._answer, skip_special_tokens=True))

    def _send(self, text: str) -> None:
        if self.request.done.done() or len(text) <= len(self._sent):
            return
        self.request.on_text(text[len(self._sent) :])
        self._sent = text


class RowStreamer:
    """Hands each row its token. Implements transformers' streamer for more than one row, and its stopping criterion.

    Stops all rows between two tokens when `should_pause` says so.
    """

    def __init__(self, rows: Sequence[Row], should_pause: Callable[[], bool]) -> None:
        self._rows = rows
        self._should_pause = should_pause
        self._is_prompt = True

    def put(self, value: "torch.Tensor") -> None:
        """First the prompt (rows, tokens), then one token per row (rows,)."""
        if self._is_prompt:
            self._is_prompt = False
            return
        for row, token in zip(self._rows, value.reshape(-1).tolist(), strict=True):
            row.take(int(token))

    def end(self) -> None:
        """Nothing is left to do."""

    def stops(self, input_ids: "torch.Tensor", scores: object, **_: object) -> "torch.Tensor":
        """(rows,) which rows need no further token for now."""
        import torch

        is_paused = self._should_pause()
        over = [is_paused or row.is_over for row in self._rows]
        return torch.tensor(over, dtype=torch.bool, device=input_ids.device)


def can_join(model: Any) -> bool:
    """Whether the model's states are one key and value a token in every layer; only such are put together and parted."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    layers = DynamicCache(config=model.config).layers
    is_plain = not model._is_stateful and model.generation_config.cache_implementation is None
    return is_plain and bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def padded(rows: Sequence[Sequence[int]], pad: int) -> tuple["torch.Tensor", "torch.Tensor"]:
    """(ids, mask), both (rows, tokens), of the tokens of each row; padded on the left."""
    import torch

    width = max(len(tokens) for tokens in rows)
    ids = [[pad] * (width - len(tokens)) + list(tokens) for tokens in rows]
    mask = [[0] * (width - len(tokens)) + [1] * len(tokens) for tokens in rows]
    return torch.tensor(ids), torch.tensor(mask)


def joined(rows: Sequence[States]) -> "Cache":
    """One cache of several rows' states, padded on the left as `padded` does it. Empty when the rows have no states."""
    import torch
    from torch.nn.functional import pad
    from transformers import DynamicCache

    cache = DynamicCache()
    for number, layer in enumerate(zip(*rows, strict=True)):
        width = max(keys.shape[2] for keys, _ in layer)
        alike = [[pad(part, (0, 0, width - part.shape[2], 0)) for part in pair] for pair in layer]
        cache.update(torch.cat([keys for keys, _ in alike]), torch.cat([values for _, values in alike]), number)
    return cache


def parted(cache: Any, tokens: Sequence[int]) -> list[States]:
    """The states of each row's last so many tokens: `joined` taken apart."""
    return [
        [(layer.keys[row : row + 1, :, -count:], layer.values[row : row + 1, :, -count:]) for layer in cache.layers]
        for row, count in enumerate(tokens)
    ]
