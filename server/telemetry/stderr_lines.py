"""Lines that other code writes to standard error (gRPC's core, engines, Python itself), as records of the log."""

import atexit
import json
import logging
import os
import re
import threading
from io import BufferedReader
from typing import TextIO

_ABSL = re.compile(r"([IWEF])\d{4} \S+ +\d+ ([\w./-]+:\d+)\] (.*)")
_LEVELS = {"I": logging.INFO, "W": logging.WARNING, "E": logging.ERROR, "F": logging.CRITICAL}
_PREFIX = re.compile(r"(error|warning|fatal)\b", re.IGNORECASE)
_PREFIX_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "fatal": logging.CRITICAL}
_MAX_LINE_BYTES = 65_536
_CLOSE_TIMEOUT_S = 1.0  # a child process may hold its end of the pipe for longer

_log = logging.getLogger("stderr")


def take_stderr() -> TextIO:
    """Send what is written to standard error to the log instead; return a stream to where it went before.

    Child processes inherit the changed standard error; a line of theirs that is a JSON object passes unchanged. What a
    process writes in the moment of a crash may be lost, because the thread that reads it dies, too.
    """
    own = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    read_end, write_end = os.pipe()
    os.dup2(write_end, 2)
    os.close(write_end)
    thread = threading.Thread(target=_log_lines, args=(os.fdopen(read_end, "rb"), own), name="stderr", daemon=True)
    thread.start()
    atexit.register(_close, thread)
    return own


def log_line(text: str) -> None:
    """Log a line of other code, with the level and place that it names in the form of absl, which gRPC's core has."""
    if found := _ABSL.match(text):
        level, source, message = found.groups()
        _log.log(_LEVELS[level], "%s", message, extra={"source": source})
        return
    prefix = _PREFIX.match(text)
    _log.log(_PREFIX_LEVELS[prefix[1].lower()] if prefix else logging.INFO, "%s", text)


def _log_lines(lines: BufferedReader, own: TextIO) -> None:
    while line := lines.readline(_MAX_LINE_BYTES):
        text = line.decode(errors="backslashreplace").strip("\r\n")
        if _is_json_object(text):
            own.write(f"{text}\n")
        elif text.strip():
            log_line(text)


def _is_json_object(text: str) -> bool:
    try:
        return text.startswith("{") and isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _close(thread: threading.Thread) -> None:
    """Log what is left; what comes after that, while Python ends, would be no record and goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    thread.join(_CLOSE_TIMEOUT_S)
