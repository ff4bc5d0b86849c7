import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["model.engines.openvino_engine", "model.engines.openvino_quantization"])
def test_openvino_runs_with_its_own_stub_in_the_place_of_telemetry(module: str):
    program = (
        f"import {module}\n"
        "import sys, openvino.tools.ovc as ovc\n"
        "print(type(ovc.telemetry).__module__, sorted(name for name in sys.modules if 'telemetry.' in name))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "openvino.tools.ovc.telemetry_stub []\n"
    assert done.stderr == ""
