"""Sources, reports and lists as a chat shows them, in Markdown (pure)."""

from collections.abc import Sequence
from dataclasses import replace

from bot.messages import Notice, Section
from bot.storage.address import without_passwords
from knowledge.catalogue import SourceSummary
from knowledge.ingestion import IngestReport

MAX_FAILURES = 5  # documents that a text names of each source
MAX_ITEMS = 5  # of a list with buttons: Discord takes 25 buttons under a message


def list_notice(section: Section) -> Notice:
    """The first items of a list, each with a number that its buttons repeat."""
    shown = list(enumerate(section.items, start=1))[:MAX_ITEMS]
    lines = [f"**{number}.** {item.text}" for number, item in shown]
    lines += [f"... and {len(section.items) - MAX_ITEMS} more."] if len(section.items) > MAX_ITEMS else []
    buttons = [replace(button, label=f"{button.label} ({number})") for number, item in shown for button in item.buttons]
    return Notice("\n\n".join([f"**{section.title}**", *(lines or ["Nothing."])]), buttons)


def report_lines(report: IngestReport) -> list[str]:
    """What reading a source has done, and the files that cannot be used."""
    counts = f"{report.added:,} new, {report.changed:,} changed, {report.unchanged:,} unchanged, {report.deleted:,} deleted"
    return [f"{code(report.source)}: {counts}.", *_failure_lines(report.failures)]


def source_lines(summary: SourceSummary) -> list[str]:
    """A source with its readers, and what is wrong with it."""
    source = summary.source
    read = f"{source.read_at:%Y-%m-%d %H:%M} UTC" if source.read_at else "never"
    readers = ", ".join(sorted(source.audience)) or "those of the corrected answer"
    counts = f"{summary.documents:,} documents, {summary.chunks:,} chunks"
    line = f"{code(source.name)} ({code(source.place)}): {counts}, for {readers}, read {read}."
    problem = [f"- {without_passwords(source.error)}"] if source.error else []
    return [line, *problem, *_failure_lines([(document.location, document.error) for document in summary.failed])]


def code(text: str) -> str:
    """Names of files and sources as they are, without passwords and without meaning as Markdown."""
    plain = without_passwords(text).replace("`", "'")
    return f"`{plain}`"


def _failure_lines(failures: Sequence[tuple[str, str]]) -> list[str]:
    lines = [f"- {code(location)}: {reason}" for location, reason in failures[:MAX_FAILURES]]
    return lines + ([f"- ... and {len(failures) - MAX_FAILURES} more files"] if len(failures) > MAX_FAILURES else [])
