"""The one way models run, served or judged: transformers (and peft, for a LoRA folder) in one worker thread, in batches.

Requests that wait are answered together: padded batches of 8 give several times the throughput of one at a time, because a
small model on a CPU spends its time fetching weights.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from training.errors import ModelUnavailable

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

MAX_BATCH = 8

Messages = Sequence[dict[str, str]]


@dataclass
class _Request:
    messages: Messages
    max_new_tokens: int
    on_text: Callable[[str], None]
    done: "Future[None]" = field(default_factory=Future)
    cancelled: threading.Event = field(default_factory=threading.Event)


class Generation:
    """A request that waits or runs. `done` is resolved at its end or fails with ModelUnavailable."""

    def __init__(self, request: _Request) -> None:
        self.done = request.done
        self._request = request

    def cancel(self) -> None:
        """Stops spending time on it; `done` is resolved soon after."""
        self._request.cancelled.set()


class Inference:
    """A causal language model from a folder or a model id. Greedy decoding. The weights are loaded with the first request."""

    def __init__(self, model: str, max_batch: int = MAX_BATCH) -> None:
        self._name = model
        self._max_batch = max_batch
        self._requests: queue.Queue[_Request | None] = queue.Queue()
        self._loaded: tuple[Any, Any] | None = None
        self._load_lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
        self._thread.start()

    def submit(self, messages: Messages, max_new_tokens: int, on_text: Callable[[str], None]) -> Generation:
        """Queues a request; `on_text` gets the pieces of the answer, in the worker's thread."""
        request = _Request(messages, max_new_tokens, on_text)
        self._requests.put(request)
        return Generation(request)

    def count_tokens(self, messages: Messages) -> int:
        """The length of the prompt that these messages make. Loads the model; raises ModelUnavailable."""
        tokenizer, _ = self._load()
        return len(tokenizer(_prompt(tokenizer, messages), add_special_tokens=False)["input_ids"])

    def close(self) -> None:
        """Ends the thread after the running batch."""
        self._requests.put(None)
        self._thread.join(timeout=5)

    def _work(self) -> None:
        while (request := self._requests.get()) is not None:
            batch = [request, *self._waiting()]
            try:
                self._run(batch)
            except ModelUnavailable as err:  # told and logged by whoever asked
                _fail(batch, err)
            except Exception as err:  # the outermost loop of the thread: one batch must not end the others
                logger.exception("a generation of %d requests failed", len(batch))
                _fail(batch, ModelUnavailable(str(err)))

    def _waiting(self) -> list[_Request]:
        """The requests that are queued by now, up to a full batch."""
        found: list[_Request] = []
        while len(found) < self._max_batch - 1:
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                break
            if request is None:
                self._requests.put(None)
                break
            found.append(request)
        return found

    def _run(self, batch: Sequence[_Request]) -> None:
        import torch

        tokenizer, model = self._load()
        prompts = [_prompt(tokenizer, request.messages) for request in batch]
        inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False)
        streamer = _BatchStreamer(tokenizer, batch, model.generation_config.eos_token_id)
        with torch.inference_mode():
            model.generate(
                **inputs,
                max_new_tokens=max(request.max_new_tokens for request in batch),
                do_sample=False,
                streamer=streamer,
                stopping_criteria=[streamer.stops],
                pad_token_id=tokenizer.pad_token_id,
            )
        streamer.finish()

    def _load(self) -> tuple[Any, Any]:
        with self._load_lock:
            if self._loaded is None:
                self._loaded = load_model(self._name)
            return self._loaded


def _fail(batch: Sequence[_Request], err: ModelUnavailable) -> None:
    for request in batch:
        if not request.done.done():
            request.done.set_exception(err)


def load_model(name: str) -> tuple[Any, Any]:
    """(tokenizer, model in evaluation mode). A folder with a LoRA is loaded on top of the base that it names (peft)."""
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


def _fastest_dtype() -> "torch.dtype":
    """bfloat16 where the hardware computes in it; elsewhere it is three times slower than float32 (measured on AVX2)."""
    import torch

    has_bf16 = torch.cuda.is_available() or torch.backends.cpu.get_cpu_capability() in ("AVX512", "AMX")
    return torch.bfloat16 if has_bf16 else torch.float32


def _prompt(tokenizer: Any, messages: Messages) -> str:
    return str(tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False))


class _BatchStreamer:
    """Hands each row's text to its request as it is decoded. Implements transformers' streamer for more than one row."""

    def __init__(self, tokenizer: Any, batch: Sequence[_Request], eos: int | list[int]) -> None:
        self._tokenizer = tokenizer
        self._batch = batch
        self._eos = {eos} if isinstance(eos, int) else set(eos)
        self._tokens: list[list[int]] = [[] for _ in batch]
        self._sent = ["" for _ in batch]
        self._is_prompt = True

    def put(self, value: "torch.Tensor") -> None:
        """First the prompt (rows, tokens), then one token per row (rows,)."""
        if self._is_prompt:
            self._is_prompt = False
            return
        for row, token in enumerate(value.reshape(-1).tolist()):
            self._take(row, int(token))

    def end(self) -> None:
        """Called by `generate` at its end; `finish` follows."""

    def stops(self, input_ids: "torch.Tensor", scores: object, **_: object) -> "torch.Tensor":
        """(rows,) which rows need no further token."""
        import torch

        over = [self._is_over(row) for row in range(len(self._batch))]
        return torch.tensor(over, dtype=torch.bool, device=input_ids.device)

    def finish(self) -> None:
        for row, request in enumerate(self._batch):
            self._send(row, self._decode(row))
            if not request.done.done():
                request.done.set_result(None)

    def _take(self, row: int, token: int) -> None:
        if self._is_over(row):
            return
        self._tokens[row].append(token)
        text = self._decode(row)
        if not text.endswith("\ufffd"):  # half of a character that takes several tokens
            self._send(row, text)
        if self._is_over(row):
            self._batch[row].done.set_result(None)

    def _is_over(self, row: int) -> bool:
        request, tokens = self._batch[row], self._tokens[row]
        is_full = len(tokens) >= request.max_new_tokens
        return request.done.done() or is_full or request.cancelled.is_set() or bool(tokens and tokens[-1] in self._eos)

    def _decode(self, row: int) -> str:
        return str(self._tokenizer.decode(self._tokens[row], skip_special_tokens=True))

    def _send(self, row: int, text: str) -> None:
        if self._batch[row].done.done() or len(text) <= len(self._sent[row]):
            return
        self._batch[row].on_text(text[len(self._sent[row]) :])
        self._sent[row] = text
