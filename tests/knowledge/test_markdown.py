"""What a Markdown page becomes: title, keywords, sections with anchors, blocks with lead-ins."""

import pytest

from knowledge.parsing import parse
from knowledge.parsing.markdown import parse_markdown
from tests.knowledge.outlines import blocks, sections, texts


@pytest.mark.parametrize(
    ("text", "title", "keywords"),
    [
        ("# Annual leave\n\nx", "Annual leave", ()),
        ("Annual leave\n============\n\nx", "Annual leave", ()),
        ("x", "file name", ()),
        ("## Only a section\n\nx", "file name", ()),
        ("---\ntitle: Leave\n---\nx", "Leave", ()),
        ("---\r\ntitle: Leave\r\n---\r\nx", "Leave", ()),
        ("---\ntitle: Leave\nkeywords: holiday, vacation , PTO\n---\n# Leave\n\nx", "Leave", ("holiday", "vacation", "PTO")),
        ("---\ntitle: Leave\nkeywords:\n  - holiday\n  - 2025\n---\nx", "Leave", ("holiday", "2025")),
        ("---\ntitle: 2025\nkeywords: 7\n---\nx", "2025", ()),
        ("---\ntitle:\nkeywords:\n---\nx", "file name", ()),
        ('---\ntitle: "  Two\\n lines "\n---\nx', "Two lines", ()),
    ],
)
def test_title_and_keywords_come_from_the_front_matter_or_the_first_heading(
    text: str, title: str, keywords: tuple[str, ...]
) -> None:
    document = parse_markdown(text, "file name")

    assert (document.title, document.keywords, texts(document)) == (title, keywords, ["x"])


@pytest.mark.parametrize("broken", ["title: [unclosed", "- a list", "just words", "{{ page.title }}: x", "a: b: c"])
def test_a_front_matter_that_is_no_mapping_counts_as_text(broken: str) -> None:
    document = parse(f"---\n{broken}\n---\n\nBody.".encode(), "leave.md")

    assert document.title == "leave"
    assert texts(document)[-1] == "Body."


def test_a_front_matter_with_an_impossible_date_does_not_hide_the_page() -> None:
    # PyYAML raises ValueError, which is no YAMLError, for `date: 2023-02-30`.
    document = parse_markdown("---\ntitle: Leave\ndate: 2023-02-30\n---\n\nBody.", "leave")

    assert texts(document)[-1] == "Body."


def test_a_title_or_keyword_holds_only_characters_that_a_database_stores() -> None:
    document = parse_markdown('---\ntitle: "A\\ud800B"\nkeywords: ["C\\ud800D"]\n---\nx', "leave")

    assert document.title.encode()
    assert [word.encode() for word in document.keywords]


def test_sections_carry_their_heading_path_and_githubs_anchor() -> None:
    text = "# Leave\n\na\n\n## How much?\n\nb\n\n### Part-time, *new*\n\nc\n\n## `Sick` leave\n\nd\n\n# Other\n\n### Deep\n\ne"

    document = parse_markdown(text, "x")

    assert sections(document) == [
        ("", "leave"),
        ("How much?", "how-much"),
        ("How much? > Part-time, new", "part-time-new"),
        ("Sick leave", "sick-leave"),
        ("Other > Deep", "deep"),
    ]


def test_a_first_heading_that_says_more_than_the_title_is_kept_in_the_path() -> None:
    document = parse_markdown("---\ntitle: Leave\n---\n# Annual leave\n\nx", "file")

    assert (document.title, sections(document)) == ("Leave", [("Annual leave", "annual-leave")])


@pytest.mark.parametrize(
    ("headings", "anchors"),
    [
        (["Approval", "Approval", "Approval"], ["approval", "approval-1", "approval-2"]),
        (["Step", "Step 1", "Step"], ["step", "step-1", "step-2"]),
        (["Über uns", "日本語 の 見出し", "A & B"], ["über-uns", "日本語-の-見出し", "a--b"]),
        (["Send it {#send}", "Pay {: #pay .wide}", "Plain"], ["send", "pay", "plain"]),
    ],
)
def test_anchors_are_unique_and_explicit_ones_win(headings: list[str], anchors: list[str]) -> None:
    document = parse_markdown("\n\n".join(f"## {heading}\n\nx" for heading in headings), "x")

    assert [anchor for _, anchor in sections(document)] == anchors


def test_an_explicit_anchor_is_no_part_of_the_heading() -> None:
    document = parse_markdown("## Send it {#send}\n\nx", "x")

    assert sections(document) == [("Send it", "send")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Ask in {% slack_channel "people" %}.', "Ask in #people."),
        ('See {% page "/leave/" %} first.', "See /leave/ first."),
        ("See {% page '/leave/' %} first.", "See /leave/ first."),
        ('Before {% include "banner.html" %}after.', "Before after."),
        ("Before {%- toc -%}after.", "Before after."),
        ("Before {% comment %}draft, do not quote{% endcomment %}after.", "Before after."),
        ("Before <!-- draft --> after.", "Before after."),
        ("Growth of 5 % {% now %}and 7 %.", "Growth of 5 % and 7 %."),
    ],
)
def test_template_tags_leave_what_a_reader_would_see(text: str, expected: str) -> None:
    assert texts(parse_markdown(text, "x")) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\ntwo  \nthree", "one two three"),
        ("**bold**, _it_, ~~gone~~ and `code`", "bold, it, gone and code"),
        ("a [link](http://x.example) and ![a map](map.png)", "a link and a map"),
        ("[Ann](mailto:ann@x.example?subject=Hi)", "Ann (ann@x.example)"),
        ("[ann@x.example](mailto:ann@x.example)", "ann@x.example"),
        ("<ann@x.example>", "ann@x.example"),
        ("5 &lt; 6 &amp; 7\\* &nbsp;x", "5 < 6 & 7* x"),
        ("Press <kbd>Ctrl</kbd><br>now", "Press Ctrl now"),
        ("> A quoted line", "A quoted line"),
    ],
)
def test_inline_marks_become_what_a_reader_sees(text: str, expected: str) -> None:
    assert texts(parse_markdown(text, "x")) == [expected]


def test_list_items_carry_the_line_that_introduces_them() -> None:
    document = parse_markdown("To apply you need:\n\n- a form\n- a photo\n\nThat is all.\n\n1. first", "x")

    assert blocks(document) == [
        ("paragraph", "To apply you need:", ""),
        ("item", "a form", "To apply you need:"),
        ("item", "a photo", "To apply you need:"),
        ("paragraph", "That is all.", ""),
        ("item", "first", ""),
    ]


def test_nested_items_carry_the_item_that_they_hang_from() -> None:
    document = parse_markdown("You need:\n\n- papers\n  - a passport\n  - a visa\n    - stamped\n- money", "x")

    assert blocks(document)[1:] == [
        ("item", "papers", "You need:"),
        ("item", "a passport", "papers"),
        ("item", "a visa", "papers"),
        ("item", "stamped", "a visa"),
        ("item", "money", "You need:"),
    ]


def test_a_lead_in_does_not_cross_a_heading_and_a_long_paragraph_is_none() -> None:
    crossing = parse_markdown("You need:\n\n## Next\n\n- a form", "x")
    long = parse_markdown("word " * 80 + "need:\n\n- a form", "x")

    assert blocks(crossing)[-1] == ("item", "a form", "")
    assert blocks(long)[-1] == ("item", "a form", "")


def test_table_rows_name_their_columns() -> None:
    document = parse_markdown("Rates:\n\n| Grade | Rate |\n| --- | ---: |\n| A | **10** |\n| B | |\n| | |", "x")

    assert blocks(document)[1:] == [("row", "Grade: A; Rate: 10", "Rates:"), ("row", "Grade: B", "Rates:")]


def test_code_keeps_its_lines() -> None:
    document = parse_markdown("Run this:\n\n```sh\ncd /x\n  make all\n```\n\n    indented\n    code\n", "x")

    assert blocks(document)[1:] == [
        ("code", "cd /x\n  make all", "Run this:"),
        ("code", "indented\ncode", "Run this:"),
    ]


def test_html_blocks_leave_their_visible_text() -> None:
    text = (
        "<div class='note'>\n<p>Take <b>care</b>.</p>\n<script>track()</script><style>p { color: red }</style>\n</div>\n\nBody."
    )

    document = parse_markdown(text, "x")

    assert texts(document) == ["Take care .", "Body."] or texts(document) == ["Take care.", "Body."]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("Größe".encode(), "Größe"),
        (b"\xef\xbb\xbf" + "Größe".encode(), "Größe"),
        ("Größe".encode("utf-16"), "Größe"),
        ("Größe – 5 €".encode("cp1252"), "Größe – 5 €"),
        (b"nul\x00byte", "nulbyte"),
    ],
)
def test_text_is_decoded_from_the_usual_encodings(data: bytes, expected: str) -> None:
    assert texts(parse(data, "size.txt")) == [expected]
