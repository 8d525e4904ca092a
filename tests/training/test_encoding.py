"""Rows as tokens and batches: nothing is lost, what is shared is found, the order is decided by the seed."""

import random
from collections import Counter

import pytest

from tests.training.bases import MODEL, row
from training.encoding import EncodedRow, batches, encode, micro_batches

pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="run `timbre setup` first")


def rows(count: int, seed: int = 0) -> list[EncodedRow]:
    """Of two openings and none, of many lengths."""
    sizes = random.Random(seed)
    openings = [tuple(range(20)), tuple(range(50, 80)), ()]
    made = []
    for number in range(count):
        opening = openings[number % 3]
        prompt = opening + tuple(1000 + number for _ in range(sizes.randint(5, 60)))
        made.append(EncodedRow(opening, prompt, tuple(2000 + number for _ in range(sizes.randint(2, 30)))))
    return made


def test_every_row_is_in_an_epoch_once_and_the_seed_decides_the_order() -> None:
    made = rows(61)

    first = batches(made, 8, seed=1, epoch=0)

    assert Counter(row for batch in first for row in batch) == Counter(made)
    assert max(map(len, first)) == 8 and len(first) == 8
    assert first == batches(made, 8, seed=1, epoch=0)
    assert first != batches(made, 8, seed=1, epoch=1) and first != batches(made, 8, seed=2, epoch=0)


def test_rows_of_a_batch_are_of_similar_length() -> None:
    made = rows(64)

    spread = [max(row.tokens for row in batch) - min(row.tokens for row in batch) for batch in batches(made, 8, 0, 0)]

    everything = max(row.tokens for row in made) - min(row.tokens for row in made)
    assert sum(spread) / len(spread) < everything / 4


@pytest.mark.parametrize("max_tokens", [1, 100, 300, 10_000])
def test_micro_batches_hold_each_row_once_share_one_opening_and_stay_small(max_tokens: int) -> None:
    made = rows(30)

    parts = list(micro_batches(made, max_tokens))

    assert Counter(row for part in parts for row in part) == Counter(made)
    for part in parts:
        assert len({row.opening for row in part}) == 1
        width = max(row.tokens - len(row.opening) for row in part)
        assert len(part) == 1 or len(part) * width + len(part[0].opening) <= max_tokens


@pytest.mark.slow
def test_a_row_is_the_prompt_that_inference_reads_and_the_answer_up_to_its_end() -> None:
    from transformers import AutoTokenizer

    from training.inference import _tokens

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    one, other = [encode(tokenizer, r["prompt"], r["completion"][0]["content"]) for r in (row(1), row(2))]

    assert list(one.prompt) == _tokens(tokenizer, row(1)["prompt"])
    assert tokenizer.decode(one.completion) == "Hello there! On level 1 you get 21 days of leave.<|im_end|>"
    assert one.opening == other.opening and one.prompt[: len(one.opening)] == one.opening
    assert "Use only facts" in tokenizer.decode(one.opening) and "level" not in tokenizer.decode(one.opening)


@pytest.mark.slow
def test_a_template_that_writes_past_answers_otherwise_still_ends_the_answer() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}[assistant] <think></think>{% endif %}"
    )

    found = encode(tokenizer, [{"role": "user", "content": "Hi"}], "Hello.")

    assert tokenizer.decode(found.prompt) == "[user] Hi\n[assistant] <think></think>"
    assert tokenizer.decode(found.completion) == "Hello.<|im_end|>"
