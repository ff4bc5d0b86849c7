"""Formats of the server's log lines."""

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

from server.calls.call_metadata import current_metadata
from server.telemetry.stderr_lines import take_stderr

LogFormat = Literal["text", "json"]

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
#: Attributes of every record; any other was given by `extra=`.
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


class TextFormatter(logging.Formatter):
    """Lines to be read by people; within a call that has an id, with the id."""

    def __init__(self) -> None:
        super().__init__(_TEXT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Format a record without its traceback."""
        request_id = getattr(record, "request_id", "")
        return super().formatMessage(record) + (f" (request {request_id})" if request_id else "")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, fields given by `extra=`, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record; a field that JSON cannot represent is given as its text."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({name: value for name, value in vars(record).items() if name not in {*_STANDARD, *line}})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(log_format: LogFormat) -> None:
    """Write the log of this process to standard error, at level INFO and above.

    As JSON, everything else that is written to standard error becomes a record, too.
    """
    if log_format == "json":
        handler = logging.StreamHandler(take_stderr())
        handler.setFormatter(JsonFormatter())
        logging.raiseExceptions = False  # their report goes to standard error, and would come back as a record
        sys.excepthook = _log_uncaught
        threading.excepthook = lambda failed: _log_uncaught(
            failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback
        )
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(TextFormatter())
    handler.addFilter(_add_request_id)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)


def _add_request_id(record: logging.LogRecord) -> bool:
    """Add the id of the call that is being answered to a record."""
    if request_id := current_metadata.get().request_id:
        record.request_id = request_id
    return True


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    logging.getLogger("aisle.server").critical("uncaught exception", exc_info=(kind, error, traceback))
