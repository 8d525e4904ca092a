"""The one way models run, served or judged: transformers (and peft, for a LoRA folder) in one worker thread, in batches.

Requests are answered together, and join those that run already: a small model on a CPU spends its time fetching weights, which
eight rows share. What all prompts open with, the system message, is read once. A row's answer does not depend on its neighbours
but for the last bits of the floats, and not at all on what was asked before.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from training.batching import Messages, Request, Row, RowStreamer, States, can_join, joined, padded, parted
from training.errors import ModelUnavailable

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

MAX_BATCH = 8
SPIN_COUNT = "10000"  # half a millisecond, longer than the gaps inside a token


class Generation:
    """A request that waits or runs. `done` is resolved at its end or fails with ModelUnavailable."""

    def __init__(self, request: Request) -> None:
        self.done = request.done
        self._request = request

    def cancel(self) -> None:
        """Stops spending time on it; `done` is resolved soon after."""
        self._request.cancelled.set()


@dataclass(frozen=True)
class _Loaded:
    tokenizer: Any
    model: Any
    can_join: bool


class Inference:
    """A causal language model from a folder or a model id. Greedy decoding. The weights are loaded with the first request."""

    def __init__(self, model: str, max_batch: int = MAX_BATCH) -> None:
        self._name = model
        self._max_batch = max_batch
        self._requests: queue.Queue[Request | None] = queue.Queue()
        self._loaded: _Loaded | None = None
        self._load_lock = threading.Lock()
        self._opening: tuple[Sequence[int], States] = (), ()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
        self._thread.start()

    def submit(self, messages: Messages, max_new_tokens: int, on_text: Callable[[str], None]) -> Generation:
        """Queues a request; `on_text` gets the pieces of the answer, in the worker's thread."""
        request = Request(messages, max_new_tokens, on_text)
        self._requests.put(request)
        return Generation(request)

    def count_tokens(self, messages: Messages) -> int:
        """The length of the prompt that these messages make. Loads the model; raises ModelUnavailable."""
        return len(_tokens(self._load().tokenizer, messages))

    def close(self) -> None:
        """Ends the thread after the running batch."""
        self._requests.put(None)
        self._thread.join(timeout=5)

    def _work(self) -> None:
        rows: list[Row] = []
        while (requests := self._admitted(running=len(rows))) or rows:
            concerned = [*requests, *(row.request for row in rows)]
            try:
                rows = self._advanced(rows, requests)
            except ModelUnavailable as err:  # told and logged by whoever asked
                rows = _failed(concerned, err)
            except Exception as err:  # the outermost loop of the thread: one batch must not end the others
                logger.exception("a generation of %d requests failed", len(concerned))
                rows = _failed(concerned, ModelUnavailable(str(err)))

    def _admitted(self, running: int) -> list[Request]:
        """The requests that wait by now, as many as find room. Where none runs, one is waited for; then none means closed."""
        found: list[Request] = []
        while running + len(found) < self._max_batch and not self._is_closed:
            try:
                request = self._requests.get(block=not running and not found)
            except queue.Empty:
                break
            if request is None:
                self._is_closed = True
            else:
                found.append(request)
        return found

    def _advanced(self, running: Sequence[Row], requests: Sequence[Request]) -> list[Row]:
        """The rows that go on at the next regrouping. Those admitted now read their prompts before, one by one."""
        loaded = self._load()
        newcomers = [self._row(loaded, request) for request in requests]
        if loaded.can_join and len(running) + len(newcomers) > 1:
            for row in _not_over(newcomers):
                self._generate(loaded, [row], 1)
        rows = _not_over([*running, *newcomers])
        if rows:
            self._generate(loaded, rows, max(row.room for row in rows))
        return _not_over(rows)

    def _row(self, loaded: _Loaded, request: Request) -> Row:
        prompt = _tokens(loaded.tokenizer, request.messages)
        eos = loaded.model.generation_config.eos_token_id
        row = Row(request, loaded.tokenizer, prompt, {eos} if isinstance(eos, int) else set(eos))
        if loaded.can_join:
            row.states = self._opening_states(loaded.model, _opening(loaded.tokenizer, request.messages, prompt))
        return row

    def _opening_states(self, model: Any, opening: Sequence[int]) -> States:
        """Read apart from the rest, the first time too: the floats of an answer are then the same each time."""
        import torch

        if opening and self._opening[0] != opening:
            with torch.inference_mode():
                cache = model(input_ids=torch.tensor([opening], device=model.device), use_cache=True).past_key_values
            self._opening = opening, parted(cache, [len(opening)])[0]
        return self._opening[1] if opening else ()

    def _generate(self, loaded: _Loaded, rows: Sequence[Row], max_new_tokens: int) -> None:
        """Lets the rows grow by so many tokens at most. It takes one row, or rows with states of all tokens but the last."""
        import torch

        model, pad = loaded.model, loaded.tokenizer.pad_token_id
        ids, mask = padded(rows, pad)
        streamer = RowStreamer(rows, lambda: loaded.can_join and self._had_better_regroup(rows))
        with torch.inference_mode():
            output = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                past_key_values=joined([row.states for row in rows]) if loaded.can_join else None,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                streamer=streamer,
                stopping_criteria=[streamer.stops],
                pad_token_id=pad,
                return_dict_in_generate=True,
            )
        if loaded.can_join:
            read = parted(output.past_key_values, [len(row.tokens) - 1 for row in rows])
            for row, states in zip(rows, read, strict=True):
                row.states = states

    def _had_better_regroup(self, rows: Sequence[Row]) -> bool:
        """Whether somebody waits who finds room, or half of the rows are over and only cost time."""
        going_on = sum(not row.is_over for row in rows)
        is_awaited = not self._is_closed and not self._requests.empty()
        return going_on <= len(rows) // 2 or (is_awaited and going_on < self._max_batch)

    def _load(self) -> _Loaded:
        with self._load_lock:
            if self._loaded is None:
                tokenizer, model = load_model(self._name)
                self._loaded = _Loaded(tokenizer, model, can_join(model))
            return self._loaded


def _failed(requests: Sequence[Request], err: ModelUnavailable) -> list[Row]:
    """Tells those that still wait; no row is left."""
    for request in requests:
        if not request.done.done():
            request.done.set_exception(err)
    return []


def _not_over(rows: Sequence[Row]) -> list[Row]:
    """The rows that go on; the others are finished."""
    for row in rows:
        if row.is_over:
            row.finish()
    return [row for row in rows if not row.request.done.done()]


def load_model(name: str) -> tuple[Any, Any]:
    """(tokenizer, model in evaluation mode). A folder with a LoRA is loaded on top of the base that it names (peft)."""
    _shorten_spinning()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModelForCausalLM.from_pretrained(name, dtype=_fastest_dtype())
    except (OSError, ValueError) as err:
        remedy = "set TIMBRE_MODEL__ID to a folder with a model, or to a Hugging Face id that this machine can reach"
        raise ModelUnavailable(f"Cannot load the language model {name!r} ({str(err).splitlines()[0]}); {remedy}.") from err
    if torch.cuda.is_available():
        model = model.to("cuda")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, model.eval()


def _shorten_spinning() -> None:
    """Lets torch's idle threads sleep soon: by default (libgomp) they spin for 300,000 rounds at every barrier, and beside
    another busy process one token took ten to twenty times as long. It counts where torch was not imported before."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)


def _fastest_dtype() -> "torch.dtype":
    """bfloat16 where the hardware computes in it; elsewhere it is three times slower than float32 (measured on AVX2)."""
    import torch

    has_bf16 = torch.cuda.is_available() or torch.backends.cpu.get_cpu_capability() in ("AVX512", "AMX")
    return torch.bfloat16 if has_bf16 else torch.float32


def _tokens(tokenizer: Any, messages: Messages) -> list[int]:
    prompt = str(tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False))
    return list(tokenizer(prompt, add_special_tokens=False)["input_ids"])


def _opening(tokenizer: Any, messages: Messages, prompt: Sequence[int]) -> Sequence[int]:
    """What the prompt shares with one whose last message is another: the tokens of what stands before it. Never all."""
    other = _tokens(tokenizer, [*messages[:-1], {**messages[-1], "content": "?"}])
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(prompt, other, strict=False)))
    return prompt[: min(shared, len(prompt) - 1)]
