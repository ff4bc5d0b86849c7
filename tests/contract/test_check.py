import re
import shutil
import sys
from pathlib import Path

import pytest

from contract.check import RELEASED, CheckError, check, release
from contract.generate import ROOT

CONTRACT = Path("proto/aisle/v1/classifier.proto")

#: A protoc plugin: one file for the last .proto file, or an error.
PLUGIN = """#!{python}
import sys
from google.protobuf.compiler import plugin_pb2
request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
response = plugin_pb2.CodeGeneratorResponse(error={error!r}, supported_features=1)  # optional fields, like real ones
response.file.add(name="{name}.txt", content=request.file_to_generate[-1] + " " + request.parameter)
sys.stdout.buffer.write(response.SerializeToString())
"""


@pytest.fixture(autouse=True)
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH, empty at first; buf is found beside Python."""
    (tmp_path / "plugins").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "plugins"))
    return tmp_path / "plugins"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the contract, to be spoilt."""
    for name in (CONTRACT, RELEASED, Path("proto/buf.yaml")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def install(folder: Path, name: str, error: str = "") -> None:
    (folder / name).write_text(PLUGIN.format(python=sys.executable, name=name, error=error))
    (folder / name).chmod(0o755)


def edit(root: Path, old: str, new: str) -> None:
    text = (root / CONTRACT).read_text()
    assert old in text
    (root / CONTRACT).write_text(text.replace(old, new))


def test_the_contract_passes_and_says_which_languages_were_skipped():
    assert check() == [
        "the contract passes buf lint",
        "it breaks nothing of proto/released.binpb",
        "Java: skipped, protoc-gen-grpc-java not on the PATH",
        "Go: skipped, protoc-gen-go and protoc-gen-go-grpc not on the PATH",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("string brand = 4;", "string brand = 14;", r"buf breaking refused .*\"4\" with name \"brand\""),
        ("int32 top_k = 4;", "string top_k = 4;", r"buf breaking refused .*\"top_k\""),
        ("rpc GetModel(", "rpc DescribeModel(", r"buf lint refused .*DescribeModel"),
        ("string brand = 4;", "string Brand = 4;", r"buf lint refused .*\"Brand\""),
    ],
)
def test_a_change_that_breaks_clients_or_the_rules_is_named(root: Path, old: str, new: str, message: str):
    edit(root, old, new)
    with pytest.raises(CheckError) as caught:
        check(root)
    assert re.search(message, str(caught.value), re.DOTALL)


def test_a_new_field_breaks_nobody_and_a_release_moves_the_promise(root: Path):
    edit(root, "string brand = 4;", "string brand = 4;\n  // New.\n  string color = 99;")
    check(root)
    release(root)
    edit(root, "\n  // New.\n  string color = 99;", "")
    with pytest.raises(CheckError, match='"99" with name "color"'):
        check(root)


def test_the_contract_is_compiled_where_the_plugins_are(root: Path, plugins: Path):
    for name in ("protoc-gen-grpc-java", "protoc-gen-go", "protoc-gen-go-grpc"):
        install(plugins, name)
    assert check(root)[2:] == ["Java: compiles to 1 files", "Go: compiles to 2 files"]


def test_a_contract_without_a_go_package_is_refused(root: Path):
    edit(root, 'option go_package = "aisle/v1;aislev1";\n', "")
    with pytest.raises(CheckError, match="go_package"):
        check(root)


def test_what_a_plugin_refuses_fails_the_check(root: Path, plugins: Path, capfd: pytest.CaptureFixture[str]):
    install(plugins, "protoc-gen-grpc-java", error="no Java for you")
    with pytest.raises(CheckError, match=r"Java: protoc refused aisle/v1/classifier\.proto"):
        check(root)
    assert "no Java for you" in capfd.readouterr().err
