"""Where sentences begin and end."""

import random
import time
from itertools import pairwise

import pytest

from knowledge.sentences import sentence_spans, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n ", []),
        ("One.", ["One."]),
        ("No mark at the end", ["No mark at the end"]),
        ("One. Two! Three? Four… Five", ["One.", "Two!", "Three?", "Four…", "Five"]),
        ("Really?! Yes.", ["Really?!", "Yes."]),
        ("It costs 3.50 EUR. It is version 2.1 now.", ["It costs 3.50 EUR.", "It is version 2.1 now."]),
        ("Use e.g. Harbour or Tidebook. Ask Dr. Byrne.", ["Use e.g. Harbour or Tidebook.", "Ask Dr. Byrne."]),
        ("J. Smith signs. Done.", ["J. Smith signs.", "Done."]),
        ("approx. 5 days, no. 7, etc. And more.", ["approx. 5 days, no. 7, etc. And more."]),
        ("He said “Go.” Then he went.", ["He said “Go.”", "Then he went."]),
        ("(See the form.) Send it.", ["(See the form.)", "Send it."]),
        ("mail ann@x.example. lower case goes on.", ["mail ann@x.example. lower case goes on."]),
        ("Ends. £5 is due. €6 too. #people knows.", ["Ends.", "£5 is due.", "€6 too.", "#people knows."]),
        ("line one\nline two\n\n line three", ["line one", "line two", "line three"]),
        ("これは一つ。これは二つ！三つ？", ["これは一つ。", "これは二つ！", "三つ？"]),
        ("पहला वाक्य। दूसरा वाक्य है।", ["पहला वाक्य।", "दूसरा वाक्य है।"]),
        ("الجملة الأولى. الجملة الثانية؟ نعم.", ["الجملة الأولى.", "الجملة الثانية؟", "نعم."]),
        ("Ünder 10. Öl ist teuer.", ["Ünder 10.", "Öl ist teuer."]),
        ("Wait... What", ["Wait...", "What"]),
    ],
)
def test_text_is_split_at_sentence_ends(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_spans_reproduce_the_text_without_overlap() -> None:
    rng = random.Random(3)
    for _ in range(300):
        text = "".join(
            rng.choice(["a", "B", ". ", "!", " ", "\n", "e.g. ", "。", '"', "Dr. ", "3.5", "(", ")"]) for _ in range(60)
        )

        spans = sentence_spans(text)

        assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)
        assert all(first[1] <= second[0] for first, second in pairwise(spans))
        assert "".join(text[s:e] for s, e in spans).replace(" ", "").replace("\n", "") == "".join(text.split())


@pytest.mark.parametrize(
    "text",
    [
        "." * 2_000 + "! A",
        "." * 20_000 + "x",
        "a." * 10_000 + "! B",
        "Mr. X " * 5_000,
        "?" * 20_000,
        '."' * 10_000,
        ". " * 10_000,
    ],
    ids=["dots", "unended dots", "dotted letters", "abbreviations", "questions", "quotes", "spaced dots"],
)
def test_hostile_punctuation_takes_no_time(text: str) -> None:
    # Splitting runs in the parent process, outside of the sandbox's limits.
    started = time.process_time()

    sentence_spans(text)

    assert time.process_time() - started < 0.5
