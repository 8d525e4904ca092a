"""The one way models run: streamed, in batches, cancelled, and honest about missing weights."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from training.batching import can_join
from training.errors import ModelUnavailable
from training.inference import Inference

MODEL = Path(sys.prefix) / "share" / "timbre" / "models" / "SmolLM2-135M-Instruct"
COMPARED_WORDS = 4  # batches pad their rows, whose float noise may turn a close decision later in a text

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.skipif(not MODEL.exists(), reason="run `timbre setup` first")]


def asking(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


QUESTIONS = [f"Name the capital of {country}." for country in "France Italy Spain Norway Japan Egypt Peru Ireland".split()]


class Pieces(list[str]):
    """Collects what is streamed; `first` is set when something came."""

    def __init__(self) -> None:
        self.first = threading.Event()

    def take(self, piece: str) -> None:
        self.append(piece)
        self.first.set()


@pytest.fixture(scope="module")
def inference() -> Iterator[Inference]:
    made = Inference(str(MODEL))
    yield made
    made.close()


def answer(inference: Inference, text: str, tokens: int = 8) -> str:
    pieces = Pieces()
    inference.submit(asking(text), tokens, pieces.take).done.result(60)
    return "".join(pieces)


def test_the_pieces_joined_are_the_whole_answer_and_the_same_each_time(inference: Inference) -> None:
    pieces = Pieces()

    inference.submit(asking(QUESTIONS[0]), 8, pieces.take).done.result(60)

    assert len(pieces) > 3
    assert "Paris" in "".join(pieces)
    assert "".join(pieces) == answer(inference, QUESTIONS[0])


def test_characters_of_several_tokens_are_never_torn(inference: Inference) -> None:
    pieces = Pieces()

    inference.submit(asking("Repeat exactly: 🐬🐬 你好 naïve"), 16, pieces.take).done.result(60)

    assert all("\ufffd" not in piece for piece in pieces[:-1])


def test_no_more_tokens_are_made_than_wanted(inference: Inference) -> None:
    short = answer(inference, "Count from one to a hundred.", 4)

    assert 0 < len(short.split()) <= 4


def test_eight_requests_at_once_are_answered_as_one_at_a_time(inference: Inference) -> None:
    alone = [answer(inference, question, 5) for question in QUESTIONS]
    pieces = [Pieces() for _ in QUESTIONS]

    running = [inference.submit(asking(q), 5, p.take) for q, p in zip(QUESTIONS, pieces, strict=True)]
    for generation in running:
        generation.done.result(120)

    together = ["".join(p) for p in pieces]
    assert [text.split()[:COMPARED_WORDS] for text in together] == [text.split()[:COMPARED_WORDS] for text in alone]


def test_a_short_request_ends_before_the_long_one_of_its_batch(inference: Inference) -> None:
    short, long = Pieces(), Pieces()
    inference.submit(asking("Count from one to ten."), 3, Pieces().take)  # while it runs, the others wait and share a batch

    slow = inference.submit(asking("Write a long story about the sea."), 16, long.take)
    quick = inference.submit(asking("Say yes."), 2, short.take)
    quick.done.result(60)

    assert not slow.done.done()
    slow.done.result(60)
    assert len(long) > len(short)


def test_a_cancelled_request_stops_and_the_others_go_on(inference: Inference) -> None:
    given_up, other = Pieces(), Pieces()
    first = inference.submit(asking("Write a very long story about the sea."), 2000, given_up.take)
    second = inference.submit(asking(QUESTIONS[0]), 8, other.take)

    assert given_up.first.wait(60)
    first.cancel()
    first.done.result(60)
    second.done.result(60)

    assert len(given_up) < 2000
    assert "Paris" in "".join(other)


def test_a_request_joins_those_that_run_and_is_answered_as_alone(inference: Inference) -> None:
    alone, story, late = answer(inference, QUESTIONS[0]), Pieces(), Pieces()
    long = inference.submit(asking("Write a very long story about the sea."), 2000, story.take)
    assert story.first.wait(60)

    inference.submit(asking(QUESTIONS[0]), 8, late.take).done.result(60)

    assert not long.done.done()
    assert "".join(late).split()[:COMPARED_WORDS] == alone.split()[:COMPARED_WORDS]
    long.cancel()
    long.done.result(60)


def test_a_row_goes_on_as_alone_when_others_join_and_leave(inference: Inference) -> None:
    text = "Count from one to twenty."
    alone, counted = answer(inference, text, 24), Pieces()
    counting = inference.submit(asking(text), 24, counted.take)
    assert counted.first.wait(60)

    for question in QUESTIONS[:2]:
        inference.submit(asking(question), 2, Pieces().take).done.result(60)
    counting.done.result(60)

    assert "".join(counted).split()[: 2 * COMPARED_WORDS] == alone.split()[: 2 * COMPARED_WORDS]


def test_more_requests_than_fit_are_all_answered() -> None:
    inference = Inference(str(MODEL), max_batch=2)

    running = [inference.submit(asking(question), 2, Pieces().take) for question in QUESTIONS[:5]]

    for generation in running:
        generation.done.result(120)
    inference.close()


def test_an_answer_does_not_depend_on_what_was_asked_before(inference: Inference) -> None:
    def pieces_of(system: str) -> list[str]:
        pieces = Pieces()
        messages = [{"role": "system", "content": system}, *asking(QUESTIONS[0])]
        inference.submit(messages, 8, pieces.take).done.result(60)
        return list(pieces)

    first = pieces_of("You are a patient teacher of geography.")
    repeated = pieces_of("You are a patient teacher of geography.")
    pieces_of("You are a pirate.")
    afterwards = pieces_of("You are a patient teacher of geography.")

    assert first == repeated == afterwards


def test_a_model_with_sliding_windows_answers_batches_without_joining(tmp_path: Path) -> None:
    import torch
    from transformers import AutoTokenizer, MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
    }
    model = MistralForCausalLM(MistralConfig(vocab_size=49152, sliding_window=4, **sizes))
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(MODEL).save_pretrained(tmp_path)
    inference = Inference(str(tmp_path))

    running = [inference.submit(asking(question), 3, Pieces().take) for question in QUESTIONS[:3]]

    for generation in running:
        generation.done.result(60)
    assert not can_join(model)
    inference.close()


def test_a_request_cancelled_while_it_waits_says_nothing(inference: Inference) -> None:
    pieces = Pieces()
    inference.submit(asking("Count from one to ten."), 3, Pieces().take)

    waiting = inference.submit(asking("Write a story."), 500, pieces.take)
    waiting.cancel()
    waiting.done.result(60)

    assert pieces == []


def test_the_prompt_is_counted_with_its_template(inference: Inference) -> None:
    short, long = inference.count_tokens(asking("hi")), inference.count_tokens(asking("hi " * 100))

    assert 5 < short < 60
    assert 95 <= long - short <= 205


def test_prompts_are_counted_while_others_are_answered(inference: Inference) -> None:
    # The tokenizer is one object; used by two threads at once, with and without padding, it raises "Already borrowed".
    running = [inference.submit(asking(question), 1, Pieces().take) for question in QUESTIONS * 4]

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda n: inference.count_tokens(asking("word " * 500)), range(200)))

    for generation in running:
        generation.done.result(120)
    assert len(set(counts)) == 1


@pytest.mark.parametrize("is_empty_folder", [True, False])
def test_missing_weights_are_told_in_a_sentence(tmp_path: Path, is_empty_folder: bool, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path if is_empty_folder else tmp_path / "none"
    inference = Inference(str(folder))

    generation = inference.submit(asking("hi"), 4, print)

    for use in (lambda: generation.done.result(60), lambda: inference.count_tokens(asking("hi"))):
        with pytest.raises(ModelUnavailable, match=f"Cannot load the language model '{folder}'"):
            use()
    inference.close()
    assert "Traceback" not in str(generation.done.exception())


def test_closing_ends_the_thread() -> None:
    inference = Inference("never-loaded")

    inference.close()

    assert not any(thread.name == "inference" and not thread.daemon for thread in threading.enumerate())
