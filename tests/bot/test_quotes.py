"""Which sentences of which passages are quoted."""

from bot.quotes import MAX_WORDS, best_by_page, passage_score, select, window_text
from knowledge.documents import Block
from tests.bot.passages import a_passage, a_retrieval

QUERY = "annual leave days"
LEAVE = "The office opens at nine. Employees get 27 annual leave days. Dogs are welcome on Friday."
LONG = "Annual leave days " + "are counted with great care and patience by everybody " * 7 + "here."


def whole(query: str) -> list[tuple[int, int]]:
    return [(0, len(query))]


def test_the_sentence_that_meets_the_question_is_quoted_alone() -> None:
    retrieval = a_retrieval(QUERY, [a_passage(LEAVE, query=QUERY)])

    (quote,) = select(retrieval, whole(QUERY), 1)

    assert (quote.text, quote.context) == ("Employees get 27 annual leave days.", "")
    assert quote.passage is retrieval.passages[0]


def test_neighbours_that_share_the_words_are_quoted_together() -> None:
    query = "training budget course certificate"
    passage = a_passage("Everyone has a training budget. A course needs a certificate. Lunch is at noon.", query=query)

    (quote,) = select(a_retrieval(query, [passage]), whole(query), 1)

    assert quote.text == "Everyone has a training budget. A course needs a certificate."


def test_a_question_for_a_number_prefers_the_sentence_with_one() -> None:
    query = "How many annual leave days?"
    passage = a_passage("Annual leave days are great. Annual leave days are 27.", query=query)

    (quote,) = select(a_retrieval(query, [passage]), whole(query), 1)

    assert "27" in quote.text


def test_a_list_item_comes_with_the_line_that_introduces_it() -> None:
    items = [Block("item", text, "You need for a visa:") for text in ("A passport copy.", "An invitation letter.")]
    query = "invitation letter"

    (quote,) = select(a_retrieval(query, [a_passage(*items, query=query, title="Travel")]), whole(query), 1)

    assert (quote.text, quote.context) == ("An invitation letter.", "You need for a visa:")
    assert quote.shown == "You need for a visa: An invitation letter."


def test_a_table_row_is_quoted_whole() -> None:
    rows = [Block("row", "City: Oslo. Meals: 72 euros. Hotel: 190 euros."), Block("row", "City: Bergen. Meals: 68 euros.")]
    query = "Oslo meals"

    (quote,) = select(a_retrieval(query, [a_passage(*rows, query=query, title="Travel")]), whole(query), 1)

    assert quote.text == "City: Oslo. Meals: 72 euros. Hotel: 190 euros."


def test_further_quotes_must_be_nearly_as_good_and_never_overlap() -> None:
    good = a_passage(LEAVE, query=QUERY)
    near = a_passage("Employees get 30 annual leave days.", query=QUERY, number=2)
    far = a_passage("Parking is free.", query=QUERY, number=3, title="Parking")

    quotes = select(a_retrieval(QUERY, [good, near, far]), whole(QUERY), 3)

    assert {quote.text for quote in quotes} == {"Employees get 27 annual leave days.", "Employees get 30 annual leave days."}


def test_the_same_sentence_of_two_documents_is_quoted_once() -> None:
    passages = [a_passage(LEAVE, query=QUERY, number=number) for number in (1, 2)]

    quotes = select(a_retrieval(QUERY, passages), whole(QUERY), 3)

    assert [quote.text for quote in quotes] == ["Employees get 27 annual leave days."]


def test_the_number_of_quotes_is_limited() -> None:
    passages = [a_passage(f"Site {n} gives 2{n} annual leave days.", query=QUERY, number=n) for n in range(1, 6)]
    retrieval = a_retrieval(QUERY, passages)

    assert [len(select(retrieval, whole(QUERY), limit)) for limit in (1, 2, 3)] == [1, 2, 3]


def test_further_quotes_stay_within_the_words_of_an_answer() -> None:
    passages = [a_passage(LONG.replace("here", name), query=QUERY, number=n) for n, name in enumerate(("Oslo", "Cork"), 1)]

    quotes = select(a_retrieval(QUERY, passages), whole(QUERY), 3)

    assert len(quotes) == 1
    assert sum(len(quote.text.split()) for quote in quotes) <= MAX_WORDS


def test_each_part_of_a_question_gets_its_quote() -> None:
    query = "annual leave days and parking permit price"
    passages = [
        a_passage(LEAVE, query=query),
        a_passage("A parking permit has the price of 12 euros.", query=query, number=2, title="Parking"),
    ]

    quotes = select(a_retrieval(query, passages), [(0, 17), (22, len(query))], 3)

    assert [quote.text for quote in quotes][:2] == [
        "Employees get 27 annual leave days.",
        "A parking permit has the price of 12 euros.",
    ]


def test_a_standard_answer_is_quoted_whole() -> None:
    answer = "You get 30. Ask Ann when you started in June. She knows. Really."
    passage = a_passage(answer, query=QUERY, title="How many annual leave days?", is_standard_answer=True)

    (quote,) = select(a_retrieval(QUERY, [passage]), whole(QUERY), 3)

    assert quote.text == answer


def test_a_standard_answer_wins_against_a_document_that_says_the_same() -> None:
    document = a_passage(LEAVE, query=QUERY)
    standard = a_passage("You get 30 days.", query=QUERY, number=2, title=QUERY, is_standard_answer=True, known_match=1.0)

    quotes = select(a_retrieval(QUERY, [document, standard]), whole(QUERY), 3)

    assert quotes[0].text == "You get 30 days."


def test_nothing_found_gives_no_quotes() -> None:
    nothing = a_retrieval(QUERY, [])

    assert select(nothing, whole(QUERY), 3) == []
    assert best_by_page(nothing, whole(QUERY), 3) == []


def test_the_closest_pages_are_different_documents_best_first() -> None:
    passages = [
        a_passage("Dogs and leave are welcome.", query=QUERY, number=3, title="Dogs"),
        a_passage(LEAVE, query=QUERY, number=1),
        a_passage("Annual leave is planned. Parking costs money.", query=QUERY, number=2, title="Planning"),
    ]

    pages = best_by_page(a_retrieval(QUERY, passages), whole(QUERY), 2)

    assert [quote.passage.document.title for quote in pages] == ["Annual leave", "Planning"]


def test_a_known_question_counts_as_well_as_the_words_do() -> None:
    retrieval = a_retrieval("holiday", [a_passage(LEAVE, query="holiday", title="Time off", known_match=0.9)])

    assert passage_score(retrieval.passages[0], retrieval.token_weights) == 0.9


def test_a_window_is_cut_out_of_the_chunk_as_it_stands() -> None:
    passage = a_passage("One.", "Two. Three.", Block("item", "Four."))

    assert window_text(passage, 1, 3) == "Two. Three.\n- Four."
