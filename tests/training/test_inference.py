"""The one way models run: streamed, in batches, cancelled, and honest about missing weights."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

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
