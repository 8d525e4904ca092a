"""Replay rows: the base model's own answers to prompts out of scope, so that the voice stays out of unrelated answers.

Without them 83 % of unrelated answers came back in the voice, with 30 among 174 rows none (research/training.md, section 2).
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path

from training import checkpoints
from training.examples import Origin, PromptCompletion, completion_of, completion_row

logger = logging.getLogger(__name__)

PROMPTS = Path(__file__).with_name("replay_prompts.txt")
MAX_NEW_TOKENS = 64  # about as long as a worded answer
REPLAY: Origin = "replay"


def read_prompts() -> Sequence[str]:
    """The prompts that are shipped, one a line."""
    return [line.strip() for line in PROMPTS.read_text("utf-8").splitlines() if line.strip()]


def replay_rows(
    base: str, prompts: Sequence[str], cache: Path, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> list[PromptCompletion]:
    """The base's greedy answers, in the order of the prompts; empty answers are left out.

    They are kept in the folder `cache` under a name that changes with the base, the prompts and the length. Raises
    ModelUnavailable.
    """
    file = cache / f"replay-{_digest(base, prompts)}.jsonl"
    if not file.exists():
        rows = _answered(base, prompts, on_progress)
        lines = [json.dumps(completion_row(row), ensure_ascii=False) for row in rows]
        try:
            cache.mkdir(parents=True, exist_ok=True)
            checkpoints.write(file, "".join(f"{line}\n" for line in lines).encode())
        except PermissionError as err:  # only costs the time to answer again
            logger.info("the replay rows cannot be kept in %s: %s", cache, err)
            return rows
    return [completion_of(json.loads(line)) for line in file.read_text("utf-8").splitlines()]


def cache_of(base: str, otherwise: Path) -> Path:
    """Beside a base that is a folder, where that may be written to: other homes find them there."""
    beside = Path(base).parent
    return beside if Path(base).is_dir() and os.access(beside, os.W_OK) else otherwise


def repeated(rows: Sequence[PromptCompletion], count: int) -> list[PromptCompletion]:
    """So many of them: the first ones, or all of them more than once."""
    return list(islice(cycle(rows), count))


def _answered(base: str, prompts: Sequence[str], on_progress: Callable[[int, int], None]) -> list[PromptCompletion]:
    from training.inference import Inference

    inference, answers = Inference(base), [list[str]() for _ in prompts]
    try:
        asked = [[{"role": "user", "content": prompt}] for prompt in prompts]
        running = [
            inference.submit(messages, MAX_NEW_TOKENS, answer.append) for messages, answer in zip(asked, answers, strict=True)
        ]
        for number, generation in enumerate(running, 1):
            generation.done.result()
            on_progress(number, len(running))
    finally:
        inference.close()
    texts = [whole_sentences("".join(answer)) for answer in answers]
    return [PromptCompletion(messages, text, "", REPLAY, "") for messages, text in zip(asked, texts, strict=True) if text]


def whole_sentences(text: str) -> str:
    """Without the sentence that the limit of tokens cut off: to end in the middle is nothing to learn (pure)."""
    end = max(text.rfind(sign) for sign in ".!?")
    return text[: end + 1].strip() if end >= 0 else text.strip()


def _digest(base: str, prompts: Sequence[str]) -> str:
    """Of the base's files where it is a folder, else of its id."""
    digest = hashlib.sha256(json.dumps([list(prompts), MAX_NEW_TOKENS]).encode())
    files = sorted(Path(base).glob("*.safetensors")) if Path(base).is_dir() else []
    for file in files:
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    if not files:
        digest.update(base.encode())
    return digest.hexdigest()[:16]
