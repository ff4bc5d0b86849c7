import json
import logging
import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import grpc
import pytest

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


def run_json(script: str, **environment: str) -> list[dict]:
    """Return the lines that a script with a JSON log writes to standard error; each must be an object."""
    first = "import logging, os, subprocess, sys, threading\nfrom server.telemetry.logs import configure_logging\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{first}configure_logging('json')\n{script}"],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **environment},
    )  # fmt: skip
    return [json.loads(line) for line in done.stderr.split("\n") if line]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "I0000 00:00:1764417115.123456    1199 chttp2_transport.cc:1403] ipv4:1.2.3.4:5: Got goaway",
            ("INFO", "ipv4:1.2.3.4:5: Got goaway", "chttp2_transport.cc:1403"),
        ),
        ("E1129 12:18:30.084655    1199 tcp_posix.cc:7] no", ("ERROR", "no", "tcp_posix.cc:7")),
        ("WARNING: All log messages before absl::InitializeLog()", ("WARNING", None, None)),
        ("error: no such bundle", ("ERROR", None, None)),
        ('{"not": json', ("INFO", None, None)),
        ("한글 \u2028 text", ("INFO", None, None)),
    ],
)
def test_a_line_of_other_code_is_a_record(line: str, expected: tuple[str, str | None, str | None]):
    [found] = run_json(f"os.write(2, {line + chr(10)!r}.encode())")
    level, message, source = expected
    assert (found["level"], found["logger"], found["message"]) == (level, "stderr", message or line)
    assert found.get("source") == source


def test_every_line_of_standard_error_is_json():
    child = "import os; os.write(2, b'from a child\\n{\\x22of\\x22: 1}\\n')"
    script = (
        "logging.getLogger('aisle.server').info('first')\n"
        "os.write(2, b'bytes \\xff without an end')\n"
        "print('', file=sys.stderr)\n"
        f"subprocess.run([sys.executable, '-c', {child!r}])\n"
        "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()\n"
        "sys.exit('error: the end')\n"
    )
    lines = run_json(script)
    messages = {line.get("message") for line in lines}
    assert messages == {
        "first", "bytes \\xff without an end", "from a child", None, "uncaught exception", "error: the end"
    }  # fmt: skip
    assert {"of": 1} in lines  # a child's own JSON stays as it is
    [uncaught] = [line for line in lines if line.get("message") == "uncaught exception"]
    assert uncaught["traceback"].endswith("ZeroDivisionError: division by zero")


def test_a_server_whose_grpc_talks_writes_only_json(toy_bundle: Path):
    flags = ["--bundle", str(toy_bundle), "--host", "127.0.0.1", "--port", "0", "--engine", "openvino"]
    command = [sys.executable, "-m", "server", *flags, "--log-format", "json", "--drain-delay-s", "0"]
    talkative = {**os.environ, "GRPC_VERBOSITY": "debug", "GRPC_TRACE": "http"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=talkative) as process:
        lines = []
        for line in process.stderr:
            lines.append(json.loads(line))
            if lines[-1]["message"].startswith("listening on"):
                with grpc.insecure_channel(lines[-1]["message"].split()[-1]) as channel:
                    grpc.channel_ready_future(channel).result(timeout=30)
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    assert {line["logger"] for line in lines} >= {"aisle.server", "stderr"}
    assert any(line["logger"] == "stderr" and "source" in line for line in lines)
