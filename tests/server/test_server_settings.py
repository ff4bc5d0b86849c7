import re
import subprocess
import sys
from pathlib import Path

import pytest

from model.errors import SettingsError
from server.settings import ServerSettings

BUNDLE = Path("bundle")


def test_exactly_one_of_models_and_bundle_is_given():
    with pytest.raises(SettingsError, match="expected one of --models DIR and --bundle DIR, found none of them"):
        ServerSettings()
    with pytest.raises(SettingsError, match="found both of them"):
        ServerSettings(models=Path("models"), bundle=BUNDLE)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_batch_items": 0}, "--max-batch-items: expected 1 or more, found 0"),
        ({"stream_window": 0}, "--stream-window: expected 1 or more, found 0"),
        ({"loaded_versions": 0}, "--loaded-versions: expected 1 or more, found 0"),
        ({"model_poll_s": -1.0}, "--model-poll-s: expected 0 or more, found -1.0"),
        ({"grace_s": -1.0}, "--grace-s: expected 0 or more, found -1.0"),
        ({"engine_timeout_s": 0.0}, "--engine-timeout-s: expected more than 0, found 0.0"),
        ({"max_calls_per_connection": 0}, "--max-calls-per-connection: expected 1 or more, found 0"),
        ({"max_open_streams": 0}, "--max-open-streams: expected 1 or more, found 0"),
        ({"max_arriving_requests": 0}, "--max-arriving-requests: expected 1 or more, found 0"),
        ({"message_timeout_s": -1.0}, "--message-timeout-s: expected 0 or more, found -1.0"),
        ({"keepalive_timeout_s": 0.0}, "--keepalive-timeout-s: expected more than 0, found 0.0"),
        ({"drain_delay_s": -1.0}, "--drain-delay-s: expected 0 or more, found -1.0"),
        ({"max_queue_bytes": 0}, "--max-queue-bytes: expected 1 or more, found 0"),
        ({"max_queue_delay_ms": -0.5}, "--max-queue-delay-ms: expected 0 or more, found -0.5"),
        ({"port": 65_536}, "--port: expected 0 to 65535, found 65536"),
        ({"http_port": 65_536}, "--http-port: expected 0 to 65535 or None, found 65536"),
        ({"metrics_port": -1}, "--metrics-port: expected 0 to 65535 or None, found -1"),
        ({"otlp_endpoint": "host:4317"}, "--otlp-endpoint: expected http://HOST:PORT or https://, found host:4317"),
        ({"tls_certificate": BUNDLE}, "belong together; --tls-private-key is missing"),
        ({"tls_private_key": BUNDLE}, "belong together; --tls-certificate is missing"),
        ({"tls_client_ca": BUNDLE}, "--tls-client-ca: expected --tls-certificate and --tls-private-key beside it"),
        ({"max_queue_items": 100}, "--max-queue-items: expected at least --max-products-per-request (512), found 100"),
        (
            {"max_queue_images": 511},
            "--max-queue-images: expected at least --max-products-per-request (512), found 511",
        ),
    ],
)
def test_values_out_of_range_are_refused_with_their_flag(values: dict, message: str):
    with pytest.raises(SettingsError, match=re.escape(message)):
        ServerSettings(bundle=BUNDLE, **values)


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--bundel", "x"], 2, "Unrecognized options: --bundel"),
        (["--bundle", "x", "--port", "http"], 2, "port"),
        (["--port", "0"], 1, "error: expected one of --models DIR and --bundle DIR, found none of them"),
        (["--bundle", "no-such-folder"], 1, "error: no-such-folder is no bundle: manifest.json is missing"),
        (
            ["--models", "no-such-folder"],
            1,
            "error: no-such-folder holds no model (No such file or directory): expected",
        ),
    ],
)
def test_a_wrong_command_line_stops_with_a_sentence(flags: list[str], code: int, message: str):
    done = subprocess.run([sys.executable, "-m", "server", *flags], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
