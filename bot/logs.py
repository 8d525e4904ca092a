"""Sets up logging; called only by the command line."""

import logging
import warnings


def set_up_logging(level: str) -> None:
    """One line per event on standard error; libraries only from WARNING on, and their warnings only when debugging."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("httpx", "httpcore", "openai", "alembic", "fsspec", "watchfiles", "pdfminer", "transformers", "torch"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    if level != "DEBUG":
        warnings.filterwarnings("ignore")
