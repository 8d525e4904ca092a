"""What people see of an exchange, by its outcome."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot import citations
from bot.conversation import Answer, Exchange, ExchangeId, Question, ReleaseId
from bot.links import REMOVED
from bot.messages import Control, Link, ReplyKind
from bot.replies import LATE, REDUCED_SEARCH, error_reply, reply_of
from bot.voice import Voice, read_voice
from tests.bot.conftest import ALL
from tests.bot.passages import a_quote

VOICE: Voice = read_voice(None)
LEAVE = a_quote("You get 27 days.", heading="Allowance")
DOGS = a_quote("Dogs are welcome.", title="Dogs", number=2)
WEB = "https://docs.example/leave.md"


def an_exchange(answer: Answer, is_small_talk: bool = False) -> Exchange:
    return Exchange(
        ExchangeId("abc123"), Question("leave?", ALL), "leave?", answer, [], [], 0.9, ReleaseId("base:x"), "x",
        is_small_talk=is_small_talk,
    )  # fmt: skip


def at(address: str, anchor: str = "carry-over", title: str = "Annual leave") -> Exchange:
    """An exchange answered from a document with this address."""
    passage = replace(
        LEAVE.passage,
        document=replace(LEAVE.passage.document, address=address, title=title),
        chunk=replace(LEAVE.passage.chunk, anchor=anchor),
    )
    return an_exchange(citations.answered(citations.number([replace(LEAVE, passage=passage)]), "", VOICE))


ANSWERED = an_exchange(citations.answered(citations.number([LEAVE, DOGS]), "", VOICE))
CLOSEST = an_exchange(citations.closest(citations.number([LEAVE, DOGS]), VOICE, "Ann"))
UNKNOWN = an_exchange(citations.unknown(VOICE, "Ann", is_off_limits=False))
FAILED = an_exchange(citations.failed("The index does not answer."))


def controls(exchange: Exchange, **options: bool) -> Sequence[Control]:
    return [button.control for button in reply_of(exchange, **options).buttons]


def test_an_answer_is_its_text_with_marks_its_links_and_the_thumbs_first() -> None:
    reply = reply_of(ANSWERED)

    assert (reply.kind, reply.text) == (ReplyKind.ANSWER, ANSWERED.answer.text)
    assert reply.links == [Link(1, "Annual leave", "Allowance", ""), Link(2, "Dogs", "", "")]
    assert controls(ANSWERED) == [Control.HELPFUL, Control.NOT_HELPFUL, Control.ASK_PERSON]
    assert {button.subject for button in reply.buttons} == {"abc123"}
    assert not reply.calls_support


def test_what_may_be_no_answer_links_its_pages_and_offers_a_person_first() -> None:
    reply = reply_of(CLOSEST)

    assert reply.kind is ReplyKind.CLOSEST
    assert [link.title for link in reply.links] == ["Annual leave", "Dogs"]
    assert controls(CLOSEST) == [Control.ASK_PERSON, Control.HELPFUL, Control.NOT_HELPFUL]


def test_who_gets_no_answer_is_offered_a_person_at_once() -> None:
    reply = reply_of(UNKNOWN)

    assert (reply.kind, reply.links) == (ReplyKind.UNKNOWN, [])
    assert controls(UNKNOWN) == [Control.ASK_PERSON, Control.HELPFUL, Control.NOT_HELPFUL]


def test_small_talk_has_neither_buttons_nor_links() -> None:
    reply = reply_of(replace(ANSWERED, is_small_talk=True), can_share=True)

    assert (reply.kind, list(reply.links), list(reply.buttons)) == (ReplyKind.SMALL_TALK, [], [])


def test_a_failure_cannot_be_rated() -> None:
    assert (reply_of(FAILED).kind, controls(FAILED)) == (ReplyKind.ERROR, [Control.ASK_PERSON])


def test_what_only_the_asker_sees_can_be_shared() -> None:
    assert controls(CLOSEST, can_share=True)[-1] is Control.SHARE


def test_reduced_search_is_said() -> None:
    assert reply_of(replace(ANSWERED, is_reduced=True)).text.endswith(f"*{REDUCED_SEARCH}*")


def test_a_late_answer_begins_with_a_word_of_apology() -> None:
    assert reply_of(UNKNOWN, is_late=True).text == f"{LATE}\n\n{UNKNOWN.answer.text}"


def test_an_error_says_what_to_do_and_names_its_id() -> None:
    reply = error_reply("The index does not answer; try again.", "e1f2")

    assert (reply.kind, list(reply.buttons)) == (ReplyKind.ERROR, [])
    assert reply.text == "The index does not answer; try again.\n\n(error e1f2)"


@pytest.mark.parametrize(
    ("address", "anchor", "url"),
    [
        (WEB, "carry-over", f"{WEB}#carry-over"),
        (WEB, "", WEB),
        ("http://docs.example/ü.md", "", "http://docs.example/ü.md"),
        ("/srv/docs/leave.md", "carry-over", ""),
        ("", "", ""),
        ("s3://bucket/leave.md", "", ""),
        ("javascript:alert(1)", "", ""),
        ("https://docs.example/annual leave.md", "", ""),
        ("https://docs.example/<leave>.md", "", ""),
        ("https://docs.example/a|b.md", "", ""),
        ("https://docs.example/a\nb.md", "", ""),
        (WEB, "a b", ""),
    ],
)
def test_a_page_is_linked_where_a_person_can_open_it(address: str, anchor: str, url: str) -> None:
    assert [link.url for link in reply_of(at(address, anchor)).links] == [url]


def test_only_the_cited_page_may_be_linked_in_the_text() -> None:
    exchange = at(WEB)
    text = f"See {WEB}#carry-over, not {WEB} or [this](https://evil.example/?q=SECRET)."
    worded = replace(exchange, answer=replace(exchange.answer, text=text))

    assert reply_of(worded).text == f"See {WEB}#carry-over, not {REMOVED} or this {REMOVED}."


def test_a_title_carries_no_address_either() -> None:
    exchange = at(WEB, title="Leave https://evil.example/SECRET")

    assert reply_of(exchange).links[0].title == f"Leave {REMOVED}"


def test_an_error_carries_no_address() -> None:
    assert "evil" not in error_reply("It failed at https://evil.example/?q=SECRET.", "e1").text
