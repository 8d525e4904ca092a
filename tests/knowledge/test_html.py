"""What an HTML page becomes: the main part, with ids as anchors."""

import pytest

from knowledge.parsing.html import parse_html
from tests.knowledge.outlines import blocks, sections, texts


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("<title>Leave | Handbook</title><h1>Leave</h1><p>x", "Leave"),
        ("<title>Leave\n  | Handbook</title><p>x", "Leave | Handbook"),
        ("<p>x", "file name"),
        ("<title></title><p>x", "file name"),
        ("<h2>Section</h2><p>x", "file name"),
    ],
)
def test_the_title_is_the_first_heading_or_the_pages_title_or_the_files_name(text: str, title: str) -> None:
    assert parse_html(text, "file name").title == title


def test_furniture_is_dropped() -> None:
    page = """<body><header>Logo</header><nav><ul><li>Home</ul></nav><script>x()</script><style>p{}</style>
    <aside>See also</aside><p hidden>secret</p><p aria-hidden="true">icon</p><noscript>no</noscript><template>t</template>
    <p>Text.</p><form><input value="Search"></form><footer>Imprint</footer><!-- comment --></body>"""

    assert texts(parse_html(page, "x")) == ["Text."]


@pytest.mark.parametrize("tag", ["main", "article"])
def test_only_the_main_part_of_a_page_is_read(tag: str) -> None:
    page = f"<div>Banner</div><{tag}><h1>Leave</h1><p>Text.</p></{tag}><div>Cookies</div>"

    assert texts(parse_html(page, "x")) == ["Text."]


def test_a_page_of_several_articles_is_read_whole() -> None:
    page = "<article><h2>One</h2><p>First.</p></article><article><h2>Two</h2><p>Second.</p></article>"

    assert texts(parse_html(page, "x")) == ["First.", "Second."]


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ('<h2 id="pay">Pay day</h2>', "pay"),
        ('<h2><a name="pay"></a>Pay day</h2>', "pay"),
        ('<h2><a id="pay" href="#pay">Pay day</a></h2>', "pay"),
        ('<section id="pay"><h2>Pay day</h2></section>', "pay"),
        ("<h2>Pay day</h2>", "pay-day"),
    ],
)
def test_ids_become_anchors(heading: str, anchor: str) -> None:
    document = parse_html(f"<body>{heading}<p>On the 25th.</p></body>", "x")

    assert sections(document) == [("Pay day", anchor)]


def test_tables_name_their_columns() -> None:
    page = """<p>Rates:</p><table><thead><tr><th>Grade</th><th>Rate</th></tr></thead>
    <tbody><tr><td>A</td><td>10 <b>EUR</b></td></tr><tr><th>B</th><td>20</td></tr></tbody></table>"""

    assert blocks(parse_html(page, "x"))[1:] == [
        ("row", "Grade: A; Rate: 10 EUR", "Rates:"),
        ("row", "Grade: B; Rate: 20", "Rates:"),
    ]


def test_a_table_without_a_header_keeps_all_its_rows() -> None:
    page = "<table><tr><td>A</td><td>10</td></tr><tr><td>B</td><td>20</td></tr></table>"

    assert texts(parse_html(page, "x")) == ["A; 10", "B; 20"]


def test_nested_items_carry_the_item_that_they_hang_from() -> None:
    page = "<p>You need:</p><ul><li>papers<ul><li>a <em>passport</em></li><li>a visa</li></ul></li><li><p>money</p></li></ul>"

    assert blocks(parse_html(page, "x"))[1:] == [
        ("item", "papers", "You need:"),
        ("item", "a passport", "papers"),
        ("item", "a visa", "papers"),
        ("item", "money", "You need:"),
    ]


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("<p>one<br>two</p>", ["one two"]),
        ("<p><strong>one<br>two</strong></p>", ["one two"]),
        ("<p>H<sub>2</sub>O and <b>bo</b>ld</p>", ["H2O and bold"]),
        ("<p>5&nbsp;&euro; &lt; 6</p>", ["5 € < 6"]),
        ("loose <b>text</b><p>then a paragraph</p>and more", ["loose text", "then a paragraph", "and more"]),
        ("<div>a<div>b</div>c</div>", ["a", "b", "c"]),
        ("<dl><dt>Term</dt><dd>Meaning</dd></dl>", ["Term", "Meaning"]),
        ("<pre>cd /x\n  make</pre>", ["cd /x\n  make"]),
        ("<p>unclosed <b>mark", ["unclosed mark"]),
    ],
)
def test_text_is_read_as_a_reader_sees_it(fragment: str, expected: list[str]) -> None:
    assert texts(parse_html(fragment, "x")) == expected


@pytest.mark.parametrize("page", ["", "<html></html>", "<body><nav>Home</nav></body>", "<!-- nothing -->"])
def test_a_page_without_text_has_no_sections(page: str) -> None:
    assert parse_html(page, "x").sections == ()
