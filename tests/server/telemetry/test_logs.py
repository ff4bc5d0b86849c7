import json
import logging
import subprocess
import sys
from datetime import datetime

from server.telemetry.logs import JsonFormatter


def record(message: str, *values: object, **fields: object) -> logging.LogRecord:
    return logging.getLogger("aisle.server").makeRecord(
        "aisle.server", logging.WARNING, "file.py", 1, message, values, None, extra=fields
    )


def test_a_record_is_one_json_object_on_one_line():
    line = JsonFormatter().format(record("serving %s\nwith %d", "티셔츠", 3, model="shop", path=datetime(2026, 1, 2)))
    assert "\n" not in line
    assert "티셔츠" in line
    found = json.loads(line)
    assert datetime.fromisoformat(found.pop("time")).utcoffset().total_seconds() == 0
    assert found == {
        "level": "WARNING",
        "logger": "aisle.server",
        "message": "serving 티셔츠\nwith 3",
        "model": "shop",
        "path": "2026-01-02 00:00:00",
    }


def test_a_traceback_is_a_field():
    try:
        raise ValueError("of two\nlines")
    except ValueError:
        failed = record("it failed")
        failed.exc_info = sys.exc_info()
    [line] = JsonFormatter().format(failed).splitlines()
    assert json.loads(line)["traceback"].endswith("ValueError: of two\nlines")


def test_no_field_takes_the_place_of_a_standard_one():
    assert json.loads(JsonFormatter().format(record("a", level="x", time="y")))["level"] == "WARNING"


def test_the_format_is_a_choice_of_the_process_and_warnings_are_in_it():
    script = (
        "import logging, sys, warnings; from server.telemetry.logs import configure_logging;"
        "configure_logging(sys.argv[1]);"
        "logging.getLogger('aisle.server').info('listening on %d', 7); warnings.warn('old')"
    )
    run = [sys.executable, "-c", script]
    text, as_json = (
        subprocess.run([*run, name], capture_output=True, text=True, check=True).stderr for name in ("text", "json")
    )
    assert "INFO aisle.server: listening on 7" in text
    lines = [json.loads(line) for line in as_json.splitlines()]
    assert [(line["level"], line["logger"]) for line in lines] == [("INFO", "aisle.server"), ("WARNING", "py.warnings")]
    assert lines[0]["message"] == "listening on 7"
