"""Write the two binary pages of the sample handbook.

Run as ``python samples/make_binaries.py``. The script reads nothing and writes

* ``samples/handbook/policies/travel-safety.pdf`` (with fpdf2)
* ``samples/handbook/onboarding/first-week.docx`` (with python-docx)

All dates inside the files are fixed, so that running it twice with the same
library versions gives the same bytes.
"""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import docx
from docx.shared import Pt
from fpdf import FPDF
from fpdf.fonts import FontFace

HANDBOOK = Path(__file__).resolve().parent / "handbook"
DATE = datetime(2025, 1, 15, 9, 0, tzinfo=UTC)

Table = list[tuple[str, ...]]

RISK_LEVELS: Table = [
    ("Level", "Meaning", "Who must agree"),
    ("1", "Like at home", "Your manager"),
    ("2", "Some extra care needed, for example petty theft", "Your manager"),
    ("3", "Unrest, severe weather or weak medical care", "Site director and Security Team"),
    ("4", "Travel warning by a government", "Nobody; the trip does not take place"),
]

FIRST_WEEK: Table = [
    ("Day", "Time", "What", "With"),
    ("Monday", "09:15", "Welcome at reception; bring a photo ID", "People Team"),
    ("Monday", "10:30", "Collect laptop and security keys", "Service Desk"),
    ("Tuesday", "12:30", "Team lunch", "Your team"),
    ("Wednesday", "14:00", "Tour of the test tank (by video outside Galway)", "Sea Trials crew"),
    ("Thursday", "11:00", "Safety induction, 45 minutes", "Safety Officer"),
    ("Friday", "15:00", "How was it? A talk over tea", "People Team"),
]


class SafetyGuide(FPDF):
    """A4 document with a running header and a footer with the page number."""

    def header(self) -> None:
        self.set_font("Helvetica", "I", 9)
        self.cell(0, 6, "Tarnwick Instruments \u2013 Travel safety guide", border="B", align="L")
        self.ln(12)

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("Helvetica", "I", 9)
        self.cell(0, 6, f"Internal \u2013 page {self.page_no()} of {{nb}}", align="C")

    def title_line(self, text: str) -> None:
        self.set_font("Helvetica", "B", 22)
        self.multi_cell(0, 10, text, align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(3)

    def heading(self, text: str) -> None:
        if self.will_page_break(30):
            self.add_page()
        self.ln(3)
        self.set_font("Helvetica", "B", 15)
        self.multi_cell(0, 8, text, align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(1)

    def text_block(self, text: str) -> None:
        self.set_font("Helvetica", "", 11)
        self.multi_cell(0, 5.6, text, align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(2)

    def items(self, entries: list[str], *, numbered: bool = False) -> None:
        self.set_font("Helvetica", "", 11)
        for number, entry in enumerate(entries, start=1):
            self.set_x(self.l_margin + 4)
            self.cell(7, 5.6, f"{number}." if numbered else "\u2022")
            self.multi_cell(0, 5.6, entry, align="L", new_x="LMARGIN", new_y="NEXT")
            self.ln(0.8)
        self.ln(1.5)

    def grid(self, rows: Table, widths: tuple[int, ...]) -> None:
        self.set_font("Helvetica", "", 10.5)
        style = FontFace(emphasis="BOLD", fill_color=(225, 232, 238))
        with self.table(col_widths=widths, headings_style=style, padding=1.5, align="L", text_align="LEFT") as table:
            for row in rows:
                table.row(row)
        self.ln(3)


def build_pdf() -> bytes:
    """Return the travel safety guide."""
    pdf = SafetyGuide(format="A4")
    pdf.core_fonts_encoding = "windows-1252"  # for the euro sign and dashes
    pdf.set_creation_date(DATE)
    pdf.set_title("Travel safety guide")
    pdf.set_author("Tarnwick Instruments")
    pdf.set_lang("en-GB")
    pdf.set_margins(22, 16, 22)
    pdf.set_auto_page_break(True, margin=22)
    pdf.add_page()

    pdf.title_line("Travel safety guide")
    pdf.text_block(
        "For everyone who travels for Tarnwick, on land or at sea. No meeting and no "
        "measurement is worth an injury. You may always break off a trip that feels unsafe; "
        "tell your manager afterwards, not before."
    )
    pdf.heading("Risk levels")
    pdf.text_block(
        "The Security Team gives every country a level from 1 to 4 and shows it in Waypoint. "
        "The level on the day of departure counts."
    )
    pdf.grid(RISK_LEVELS, (14, 86, 66))
    pdf.text_block("If the level rises to 4 while you are there, the company brings you home.")

    pdf.heading("Keeping in touch")
    pdf.text_block("How often you report depends on the level:")
    pdf.items(
        [
            "Levels 1 and 2: no regular report; keep your itinerary in Waypoint up to date.",
            "Level 3: send a message to your named contact every day by 20:00 local time. After "
            "two hours without a message the contact starts to look for you.",
            "At sea: the skipper reports at departure, every four hours, and on return.",
        ]
    )

    pdf.heading("In an emergency")
    pdf.text_block("Do these things in this order:")
    pdf.items(
        [
            "Get to a safe place and call the local emergency number.",
            "Call the assistance line printed on your orange travel card. It is open day and night and speaks nine languages.",
            "Write to assist@tarnwick.example.com as soon as you can, so that the company can inform your family.",
            "Keep receipts and doctors' letters for the insurer.",
        ],
        numbered=True,
    )
    pdf.text_block(
        "The orange travel card comes with your first trip. If you have lost it, the Travel Desk prints another while you wait."
    )

    pdf.heading("Driving")
    pdf.text_block("Most accidents on our trips happen in cars. Therefore:")
    pdf.items(
        [
            "Do not drive within eight hours of landing from a night flight. Take a taxi.",
            "Drive no more than 450 kilometres a day if you are alone, with a break every two hours.",
            "Working and driving together may not exceed eleven hours in a day.",
            "No phone calls at the wheel, not even hands-free.",
            "In countries of level 3, hire a driver through the Travel Desk.",
        ]
    )

    pdf.heading("Hotels and streets")
    pdf.items(
        [
            "Ask for a room between the second and the sixth floor: too high for burglars and within reach of ladders.",
            "Find the stairs before you unpack.",
            "Carry \u20ac120 in local cash for emergencies. Finance advances it on request.",
            "Leave drawings and prototypes in the room safe or keep them with you.",
        ]
    )

    pdf.heading("At sea")
    pdf.text_block(
        "Sea trials take place with at least three people aboard, one of whom holds a skipper's "
        "licence. The skipper decides about the weather and cannot be overruled. Trials are "
        "called off when the forecast reaches Beaufort force 6, or visibility falls below one "
        "nautical mile."
    )
    pdf.text_block("Before casting off, the skipper checks that:")
    pdf.items(
        [
            "everybody wears an automatic life jacket of 150 newtons with a personal beacon,",
            "the harbour office in Galway has the list of names,",
            "the life raft has been serviced within the last 12 months,",
            "somebody other than the skipper can operate the radio.",
        ]
    )
    pdf.text_block("In water colder than 12 degrees, dry suits are worn on deck. They hang in the boat shed in six sizes.")

    pdf.heading("After the trip")
    pdf.text_block(
        'Report near misses in Harbour under "Safety" within five working days, even if nobody '
        "was hurt. The Safety Officer reads them all and answers each one. If a trip was "
        "distressing, the assistance line arranges a talk with a trained listener."
    )
    return bytes(pdf.output())


def fixed_dates(package: bytes) -> bytes:
    """Repack a zip package with one fixed date for all members."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(package)) as old,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            info = zipfile.ZipInfo(name, DATE.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, old.read(name))
    return target.getvalue()


def build_docx() -> bytes:
    """Return the plan for a new colleague's first week."""
    document = docx.Document()
    properties = document.core_properties
    properties.title = "Your first week"
    properties.author = "Tarnwick Instruments"
    properties.comments = ""
    properties.created = properties.modified = DATE.replace(tzinfo=None)
    document.styles["Normal"].font.name = "Calibri"
    document.styles["Normal"].font.size = Pt(11)

    def paragraphs(style: str, texts: list[str]) -> None:
        for text in texts:
            document.add_paragraph(text, style=style)

    document.add_heading("Your first week", level=0)
    document.add_paragraph(
        "Welcome aboard. This plan is the same at every site and for every role; your manager adds what is special to your team."
    )

    document.add_heading("Before you start", level=1)
    document.add_paragraph("The People Team writes to you two weeks before your first day. Please:")
    paragraphs(
        "List Number",
        [
            "Send your tax number, bank details and a portrait photo through the link in the letter.",
            "Choose your laptop keyboard layout and, for assembly roles, your coat size.",
            "Set up your account with the one-time code. It is valid for 48 hours; if it has run "
            "out, reply to the letter and you get a new one.",
        ],
    )

    document.add_heading("The week at a glance", level=1)
    table = document.add_table(rows=0, cols=4)
    table.style = "Light Grid Accent 1"
    for row in FIRST_WEEK:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text

    document.add_paragraph()
    document.add_paragraph(
        "Time without an entry belongs to your team. Nobody expects you to be productive; expect to ask a great many questions."
    )

    document.add_heading("People who help you", level=1)
    document.add_heading("Your buddy", level=2)
    document.add_paragraph(
        "A colleague from another team is your buddy for the first three months. Have lunch "
        "together once a week; the company pays up to \u20ac15 per person each time, for the first "
        "four weeks. If the two of you do not get on, the People Team finds somebody else and "
        "asks no questions."
    )
    document.add_heading("Your manager", level=2)
    document.add_paragraph(
        "Your manager meets you on Monday afternoon and then for half an hour every week. "
        "Feedback talks take place in weeks 4, 12 and 22. After the third one you hear in "
        "writing whether you have passed probation."
    )

    document.add_heading("Rules for the first days", level=1)
    paragraphs(
        "List Bullet",
        [
            "Nobody enters the assembly floor before the safety induction, not even for a visit.",
            "Test boats are open to you after the sea survival course, which is held in Galway on "
            "the third Wednesday of each month.",
            "Do not sign for deliveries until your manager has shown you how goods are checked.",
        ],
    )

    document.add_heading("At the end of the week", level=1)
    document.add_paragraph(
        "Tick the boxes in Tidebook under Onboarding and fill in the five-question survey. Then "
        "collect your welcome present from reception: a pocket compass from our 1987 series."
    )

    buffer = io.BytesIO()
    document.save(buffer)
    return fixed_dates(buffer.getvalue())


def main() -> None:
    """Write both files."""
    for name, content in (
        ("policies/travel-safety.pdf", build_pdf()),
        ("onboarding/first-week.docx", build_docx()),
    ):
        path = HANDBOOK / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        print(f"{path.relative_to(HANDBOOK.parent)}: {len(content)} bytes")


if __name__ == "__main__":
    main()
