"""Import this before OpenVINO, which otherwise reports each start to a measuring service on the internet."""

import sys

#: None makes an import fail, and OpenVINO then goes on with a stub of its own.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
