"""The process that libFuzzer runs in: `python -m tests.fuzz.target KIND FINDINGS OPTIONS`.

Every input goes through `promises.check`; one that breaks a promise is written into FINDINGS, and the run goes on.
"""

import sys
import traceback
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["knowledge", "markdown_it", "yaml", "docx", "pdfplumber", "pdfminer"]):
    import knowledge.parsing.docx
    import knowledge.parsing.html
    import knowledge.parsing.markdown
    import knowledge.parsing.pdf
    import knowledge.parsing.text  # noqa: F401  # the parsers import each other's libraries only when they are called
    from tests.fuzz.promises import check
    from tests.fuzz.seeds import ENDINGS, file_of


def main(kind: str, findings: Path, options: list[str]) -> None:
    """Never returns: libFuzzer ends the process."""

    def one_input(data: bytes) -> None:
        try:
            check(file_of(kind, data), f"fuzzed{ENDINGS[kind]}")
        except Exception as err:  # whatever comes through is a finding
            where = traceback.extract_tb(err.__traceback__)[-1]
            _write(findings / f"{type(err).__name__}-{Path(where.filename).stem}-{where.lineno}", data)

    itself = f"{sys.executable} -m tests.fuzz.target {kind} {findings}"  # libFuzzer runs it through a shell when it merges
    atheris.Setup([itself, *options], one_input)
    atheris.Fuzz()


def _write(path: Path, data: bytes) -> None:
    """Of several inputs that fail alike the smallest one is kept."""
    if not path.exists() or len(data) < path.stat().st_size:
        path.write_bytes(data)
        path.with_suffix(".txt").write_text(traceback.format_exc())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
