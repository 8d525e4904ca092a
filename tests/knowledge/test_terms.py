"""Text to lexical terms, for passages and for questions."""

import pytest

from knowledge.terms import MAX_QUERY_TERMS, STOP_WORDS, content_words, grams, query_grams, query_stems, stems, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("... !? -", []),
        ("Annual LEAVE, 30 days!", ["annual", "leave", "30", "days"]),
        ("don’t can't l'école", ["dont", "cant", "lécole"]),
        ("Straße ﬁle №5 ①", ["strasse", "file", "no5", "1"]),
        ("cafe\u0301 café", ["café", "café"]),
        ("e-mail under_score a/b", ["e", "mail", "under", "score", "a", "b"]),
        ("東京の天気 today", ["東京の天気", "today"]),
        ("サーバーは", ["サーバーは"]),  # ー belongs to no script of its own
        ("va\u200bca\u00adtion \u202edays\u202c", ["vacation", "days"]),
        ("كَلِمَةُ المـــرور", ["كلمة", "المرور"]),
        ("हिन्दी की छुट्टी", ["हिन्दी", "की", "छुट्टी"]),
        ("한국어 Ελλάδα русский", ["한국어", "ελλάδα", "русский"]),
    ],
)
def test_words_are_folded_and_in_order(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("running runs run", ["run", "run", "run"]),
        ("Refunded refunds", ["refund", "refund"]),
        ("the a of", ["the", "a", "of"]),
        ("東京都", ["東京", "京都"]),
        ("京", ["京"]),
        ("สวัสดี", ["สว", "วั", "ัส", "สด", "ดี"]),
        ("サーバー", ["サー", "ーバ", "バー"]),
        ("командировки командировке", ["командировк", "командировк"]),
        ("المحاسبة للمحاسبة", ["محاسب", "محاسب"]),
        ("दिन दिनों", ["दिन", "दिन"]),
    ],
)
def test_passages_have_stems_and_bigrams(text: str, expected: list[str]) -> None:
    assert stems(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("leave", ["_lea", "leav", "eave", "ave_"]),
        ("VPN", ["_vpn", "vpn_"]),
        ("a", ["_a_"]),
        ("ab", ["_ab_"]),
        ("東京都", ["東京", "京都"]),
        ("छुट्टी", ["_छुट", "छुट्", "ुट्ट", "ट्टी", "्टी_"]),
        ("", []),
    ],
)
def test_grams_are_four_characters_with_the_words_edges(text: str, expected: list[str]) -> None:
    assert grams(text) == expected


def test_a_typing_error_leaves_most_grams() -> None:
    right, wrong = set(grams("reimbursement")), set(grams("reimbursment"))

    assert len(right & wrong) >= 8


def test_a_part_of_a_german_compound_shares_grams_with_it() -> None:
    whole, part = set(grams("Reisekostenabrechnung")), set(grams("Abrechnung"))

    assert len(whole & part) >= 7


def test_questions_leave_out_stop_words() -> None:
    assert content_words("How do I get a new laptop?") == ["new", "laptop"]
    assert query_stems("How do I get new laptops?") == ["new", "laptop"]
    assert query_grams("is the VPN up?") == ["_vpn", "vpn_"]


def test_a_question_of_stop_words_alone_keeps_them() -> None:
    assert content_words("Who is who?") == ["who", "is", "who"]
    assert query_stems("Who is who?")


def test_a_repeated_word_of_a_question_counts_repeatedly() -> None:
    assert query_stems("laptop laptop") == ["laptop", "laptop"]


def test_a_question_has_at_most_max_query_terms() -> None:
    question = " ".join(f"word{n}" for n in range(1000))

    assert len(query_stems(question)) == len(query_grams(question)) == MAX_QUERY_TERMS
    assert len(stems(question)) == 1000


def test_stop_words_are_words_as_words_yields_them() -> None:
    assert all(words(word) == [word] for word in STOP_WORDS)
