"""The one way models run, served or judged: transformers in one worker thread, in batches, each with the LoRA that it is to have.

Requests are answered together, and join those that run already: a small model on a CPU spends its time fetching weights, which
eight rows share. What all prompts open with, the system message, is read once. A row's answer does not depend on its neighbours
but for the last bits of the floats, and not at all on what was asked before. Rows of different LoRAs take turns.
"""

import json
import logging
import os
import queue
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.batching import Messages, Request, Row, RowStreamer, States, can_join, joined, padded, parted
from training.errors import ModelUnavailable, ReleaseUnusable, TrainingError
from training.loras import Loras

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

MAX_BATCH = 8
TURN_TOKENS = 8  # that rows of one LoRA may grow by while those of another wait: a third of a second
TRIED_TOKENS = 6
TRIED_WITH: Messages = ({"role": "user", "content": "Say hello to a colleague."},)
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
    loras: Loras


@dataclass(frozen=True)
class _Task:
    """Something to be done with the model between two batches."""

    run: Callable[[_Loaded], Sequence[float]]
    done: "Future[Sequence[float]]" = field(default_factory=Future)


class Inference:
    """A causal language model from a folder or a model id. Greedy decoding. The weights are loaded with the first request."""

    def __init__(self, model: str, max_batch: int = MAX_BATCH) -> None:
        self._name = model
        self._max_batch = max_batch
        self._requests: queue.Queue[Request | _Task | None] = queue.Queue()
        self._loaded: _Loaded | None = None
        self._load_lock = threading.Lock()
        self._opening: tuple[Path | None, Sequence[int], States] = None, (), ()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
        self._thread.start()

    def submit(
        self, messages: Messages, max_new_tokens: int, on_text: Callable[[str], None], lora: Path | None = None
    ) -> Generation:
        """Queues a request; `on_text` gets the pieces of the answer, in the worker's thread.

        `lora` is a folder as peft saves it; None: the model alone.
        """
        request = Request(messages, max_new_tokens, on_text, lora)
        self._requests.put(request)
        return Generation(request)

    def prepare(self, lora: Path) -> None:
        """Loads the LoRA and lets it say something, while the answers that are under way go on; waits for the end of it.

        Raises ReleaseUnusable when it does not fit or says nothing, ModelUnavailable when the model cannot be loaded.
        """
        self._do(partial(_loaded_lora, lora)).result()
        (said,) = self.generate_all([TRIED_WITH], TRIED_TOKENS, lora)
        if not any(sign.isalpha() for sign in said):
            raise ReleaseUnusable(lora.parent.name, f"asked to say hello, it says {said!r}")

    def generate_all(self, prompts: Sequence[Messages], max_new_tokens: int, lora: Path | None = None) -> list[str]:
        """The answers, whole and in order: `submit` for many. Raises ModelUnavailable."""
        said: list[list[str]] = [[] for _ in prompts]
        running = [
            self.submit(messages, max_new_tokens, pieces.append, lora)
            for messages, pieces in zip(prompts, said, strict=True)
        ]  # fmt: skip
        for generation in running:
            generation.done.result()
        return ["".join(pieces) for pieces in said]

    def negative_log_likelihoods(self, pairs: Sequence[tuple[Messages, str]], lora: Path | None = None) -> list[float]:
        """For each prompt and what could be said to it, the mean over the latter's tokens (its end mark too), in nats.

        Raises ModelUnavailable, or ReleaseUnusable when the LoRA does not fit.
        """
        batches = [pairs[start : start + self._max_batch] for start in range(0, len(pairs), self._max_batch)]
        running = [self._do(partial(_scores, batch, lora)) for batch in batches]
        return [score for future in running for score in future.result()]

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
            elif isinstance(request, _Task):
                self._run(request)
            else:
                found.append(request)
        return found

    def _do(self, run: Callable[[_Loaded], Sequence[float]]) -> "Future[Sequence[float]]":
        task = _Task(run)
        self._requests.put(task)
        return task.done

    def _run(self, task: _Task) -> None:
        try:
            task.done.set_result(task.run(self._load()))
        except TrainingError as err:
            task.done.set_exception(err)
        except Exception as err:  # as in `_work`: one task must not end the others
            logger.exception("a task of the model failed")
            task.done.set_exception(ModelUnavailable(str(err)))

    def _advanced(self, running: Sequence[Row], requests: Sequence[Request]) -> list[Row]:
        """The rows that go on at the next regrouping. Those admitted now read their prompts before, one by one.

        Rows of one LoRA grow at a time; those of others stand first in what is returned, so that it is their turn then.
        """
        loaded = self._load()
        newcomers = [row for request in requests if (row := self._row_or_failure(loaded, request))]
        if loaded.can_join and len(running) + len(newcomers) > 1:
            for row in _not_over(newcomers):
                self._generate(loaded, [row], 1)
        rows = _not_over([*running, *newcomers])
        group = [row for row in rows if row.request.lora == rows[0].request.lora]
        others = [row for row in rows if row.request.lora != rows[0].request.lora]
        if group:
            room = max(row.room for row in group)
            self._generate(loaded, group, min(room, TURN_TOKENS) if others and loaded.can_join else room)
        return _not_over([*others, *group])

    def _row_or_failure(self, loaded: _Loaded, request: Request) -> Row | None:
        """None when the request's LoRA does not fit, which is told to it alone."""
        try:
            loaded.loras.activate(request.lora)
        except ReleaseUnusable as err:
            request.done.set_exception(ModelUnavailable(str(err)))
            return None
        return self._row(loaded, request)

    def _row(self, loaded: _Loaded, request: Request) -> Row:
        """The request's LoRA is active."""
        prompt = _tokens(loaded.tokenizer, request.messages)
        eos = loaded.model.generation_config.eos_token_id
        row = Row(request, loaded.tokenizer, prompt, {eos} if isinstance(eos, int) else set(eos))
        if loaded.can_join:
            opening = _opening(loaded.tokenizer, request.messages, prompt)
            row.states = self._opening_states(loaded.model, opening, request.lora)
        return row

    def _opening_states(self, model: Any, opening: Sequence[int], lora: Path | None) -> States:
        """Read apart from the rest, the first time too: the floats of an answer are then the same each time."""
        import torch

        if opening and self._opening[:2] != (lora, opening):
            with torch.inference_mode():
                cache = model(input_ids=torch.tensor([opening], device=model.device), use_cache=True).past_key_values
            self._opening = lora, opening, parted(cache, [len(opening)])[0]
        return self._opening[2] if opening else ()

    def _generate(self, loaded: _Loaded, rows: Sequence[Row], max_new_tokens: int) -> None:
        """Lets the rows, of one LoRA, grow by so many tokens at most.

        It takes one row, or rows with states of all tokens but the last.
        """
        import torch

        loaded.loras.activate(rows[0].request.lora)
        model, pad = loaded.model, loaded.tokenizer.pad_token_id
        ids, mask = padded([row.tokens for row in rows], pad)
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
                self._loaded = _Loaded(tokenizer, model, can_join(model), Loras(model))
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


def _loaded_lora(lora: Path, loaded: _Loaded) -> Sequence[float]:
    loaded.loras.load(lora)
    return []


def _scores(pairs: Sequence[tuple[Messages, str]], lora: Path | None, loaded: _Loaded) -> list[float]:
    """The mean negative log likelihood of each completion. Only its tokens go through the head, which is most of the work."""
    import torch
    from torch.nn.functional import cross_entropy

    loaded.loras.activate(lora)
    prompts = [_tokens(loaded.tokenizer, messages) for messages, _ in pairs]
    completions = [_completion(loaded.tokenizer, messages, text) for messages, text in pairs]
    ids, mask = padded([prompt + said for prompt, said in zip(prompts, completions, strict=True)], loaded.tokenizer.pad_token_id)
    ids, mask = ids.to(loaded.model.device), mask.to(loaded.model.device)
    longest = max(map(len, completions))
    with torch.inference_mode():
        logits = loaded.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            logits_to_keep=longest + 1,
            use_cache=False,
        ).logits[:, :-1]  # (rows, longest, vocabulary): each token's, from the one before it
        losses = cross_entropy(logits.transpose(1, 2).float(), ids[:, -longest:], reduction="none")  # (rows, longest)
    return [float(row[-len(said) :].mean()) for row, said in zip(losses, completions, strict=True)]


def load_model(name: str) -> tuple[Any, Any]:
    """(tokenizer, model in evaluation mode). A LoRA that peft saved is merged into the base that it names."""
    _shorten_spinning()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    try:
        base = _base_of(Path(name)) or name
        tokenizer = AutoTokenizer.from_pretrained(base)
        model = AutoModelForCausalLM.from_pretrained(base, dtype=_fastest_dtype())
        if base != name:
            model = _merged(model, name)
    except (OSError, ValueError, KeyError, RuntimeError) as err:  # the last two: a LoRA of another base
        remedy = "set TIMBRE_MODEL__ID to a folder with a model, or to a Hugging Face id that this machine can reach"
        raise ModelUnavailable(f"Cannot load the language model {name!r} ({str(err).splitlines()[0]}); {remedy}.") from err
    if torch.cuda.is_available():
        model = model.to("cuda")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, model.eval()


def _base_of(folder: Path) -> str:
    """What the folder's LoRA is for; empty when it holds none."""
    config = folder / "adapter_config.json"
    return str(json.loads(config.read_text())["base_model_name_or_path"]) if config.is_file() else ""


def _merged(model: Any, lora: str) -> Any:
    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft 0.21.2 uses what transformers 5.23 calls deprecated
        return PeftModel.from_pretrained(model, lora).merge_and_unload()


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


def _completion(tokenizer: Any, messages: Messages, text: str) -> list[int]:
    """The tokens of an answer as the template writes it down after the prompt, with the mark that ends it."""
    prompt = str(tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False))
    said = [*messages, {"role": "assistant", "content": text}]
    whole = str(tokenizer.apply_chat_template(said, add_generation_prompt=False, tokenize=False))
    written = whole.removeprefix(prompt).rstrip() if whole.startswith(prompt) else text + tokenizer.eos_token
    return list(tokenizer(written, add_special_tokens=False)["input_ids"])


def _opening(tokenizer: Any, messages: Messages, prompt: Sequence[int]) -> Sequence[int]:
    """What the prompt shares with one whose last message is another: the tokens of what stands before it. Never all."""
    other = _tokens(tokenizer, [*messages[:-1], {**messages[-1], "content": "?"}])
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(prompt, other, strict=False)))
    return prompt[: min(shared, len(prompt) - 1)]
