"""Import this before OpenVINO and NNCF, which otherwise report their use to a measuring service on the internet."""

import sys

#: None makes an import fail, and both then go on with stubs of their own.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
