"""Builds the Python stubs of the contract into `aisle_client/`: `python -m contract.generate`.

Those of the Open Inference Protocol, which the server answers as well and our client does not speak, go into
`server/open_inference/`.

They import as `from aisle_client.v1 import classifier_pb2`. protoc itself would put them into packages called like
the folders of the .proto files; `aisle` is nobody's to claim, and `google.rpc` belongs to googleapis-common-protos.
"""

import argparse
import importlib.resources
import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Package of a .proto file to that of its stubs.
PACKAGES = {
    "aisle.v1": "aisle_client.v1",
    "google.rpc": "aisle_client.google_rpc.copies",
    "inference": "server.open_inference",
}
#: Package from which other stubs import those of `google.rpc`.
_GOOGLE_RPC = "aisle_client.google_rpc"
#: Google's own that the client reads, for callers without googleapis-common-protos.
_GOOGLE_SOURCES = ("google/rpc/error_details.proto", "google/rpc/status.proto")


def google_include() -> Path:
    """Return the folder that holds google/rpc/status.proto (wheel googleapis-common-protos)."""
    spec = importlib.util.find_spec("google.rpc")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        if (Path(folder) / "status.proto").exists():
            return Path(folder).parent.parent
    raise FileNotFoundError("google/rpc/status.proto was not found; run pip install googleapis-common-protos")


def generate(root: Path = ROOT) -> list[Path]:
    """Build the stubs if one is missing or older than its .proto file or this script.

    Args:
        root: the folder that holds `proto/`, and `aisle_client/` and `server/` for the stubs.
    Returns:
        The .proto files that were compiled; empty when everything was up to date.
    Raises:
        RuntimeError: protoc refused a file; its own message is on stderr.
    """
    sources = [*contract_sources(root), *_open_inference_sources(root)]
    if all(_is_fresh(root / stub, source) for source, stub in _expected_stubs(root, sources)):
        return []
    build_stubs(root, root, sources)
    return sources


def build_stubs(root: Path, folder: Path, sources: Sequence[Path] | None = None) -> None:
    """Build stubs, and those of Google's own that the client reads.

    Args:
        root: the folder that holds `proto/`.
        folder: the stubs go into the packages below it.
        sources: .proto files; None takes those of the contract, which are what the client needs.
    Raises:
        RuntimeError: protoc refused a file; its own message is on stderr.
    """
    contract = [str(source.relative_to(root / "proto")) for source in sources or contract_sources(root)]
    with tempfile.TemporaryDirectory() as built:
        flags = [f"--python_out={built}", f"--pyi_out={built}"]
        run_protoc(root / "proto", [*flags, *_GOOGLE_SOURCES])
        run_protoc(root / "proto", [*flags, f"--grpc_python_out={built}", *contract])
        for path in sorted(Path(built).rglob("*_pb2*")):
            package = ".".join(path.relative_to(built).parent.parts)
            stub = folder / PACKAGES[package].replace(".", "/") / path.name
            stub.parent.mkdir(parents=True, exist_ok=True)
            stub.write_text(_in_our_packages(path.read_text(encoding="utf-8")), encoding="utf-8")


def build_image(path: Path, root: Path = ROOT, *, with_comments: bool = True, with_error_details: bool = False) -> None:
    """Write the contract as a descriptor set, imports included, for buf and for the stubs of other languages.

    Args:
        with_comments: keep comments and source positions, so that lint can name lines.
        with_error_details: add google/rpc/error_details.proto, which callers read RetryInfo with.
    Raises:
        RuntimeError: protoc refused a file; its own message is on stderr.
    """
    flags = [f"--descriptor_set_out={path.resolve()}", "--include_imports"]
    if with_comments:
        flags.append("--include_source_info")
    sources = [str(source.relative_to(root / "proto")) for source in contract_sources(root)]
    run_protoc(root / "proto", [*flags, *sources, *(_GOOGLE_SOURCES if with_error_details else ())])


def contract_sources(root: Path) -> list[Path]:
    """Return the .proto files of the contract."""
    return sorted((root / "proto/aisle").rglob("*.proto"))


def _open_inference_sources(root: Path) -> list[Path]:
    return sorted((root / "proto/inference").glob("*.proto"))


def _in_our_packages(stub: str) -> str:
    """Let a stub import others, and name its own module, where they lie with us."""
    for package, ours in PACKAGES.items():
        imported = _GOOGLE_RPC if package == "google.rpc" else ours
        stub = re.sub(rf"^from {re.escape(package)} import", f"from {imported} import", stub, flags=re.MULTILINE)
        stub = re.sub(rf"'{re.escape(package)}\.(\w+_pb2)'", rf"'{ours}.\1'", stub)
    return stub


def _expected_stubs(root: Path, sources: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Return each stub, relative to the root, with the file that it is made from."""
    expected = []
    for source in sources:
        package = ".".join(source.relative_to(root / "proto").parent.parts)
        folder = Path(*PACKAGES[package].split("."))
        endings = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")
        expected += [(source, folder / f"{source.stem}{ending}") for ending in endings]
    folder = Path(*PACKAGES["google.rpc"].split("."))
    for name in _GOOGLE_SOURCES:
        expected += [(Path(__file__), folder / f"{Path(name).stem}{ending}") for ending in ("_pb2.py", "_pb2.pyi")]
    return expected


def _is_fresh(stub: Path, source: Path) -> bool:
    newest_input = max(source.stat().st_mtime, Path(__file__).stat().st_mtime)
    return stub.exists() and stub.stat().st_mtime >= newest_input


def run_protoc(include: Path, arguments: Sequence[str]) -> None:
    """Run protoc with Google's own .proto files on the include path.

    Args:
        include: the folder that the .proto files among `arguments` are relative to.
    Raises:
        RuntimeError: protoc refused a file; its own message is on stderr.
    """
    builtin = importlib.resources.files("grpc_tools") / "_proto"
    includes = [f"-I{include}", f"-I{google_include()}", f"-I{builtin}"]
    # A process of its own: protoc's C++ and TensorFlow's protobuf crash in one.
    if subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *includes, *arguments], check=False).returncode:
        sources = ", ".join(argument for argument in arguments if argument.endswith(".proto"))
        raise RuntimeError(f"protoc refused {sources}; see its message above")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m contract.generate", description="Build the stubs of the contract.")
    parser.add_argument("--out", type=Path, help="folder to build aisle_client/ into, instead of here")
    parser.add_argument("--descriptors", type=Path, help="write the contract to this file, for other languages")
    options = parser.parse_args(arguments)
    if options.descriptors is not None:
        build_image(options.descriptors, with_error_details=True)
        print(f"wrote {options.descriptors}")
    elif options.out is not None:
        build_stubs(ROOT, options.out)
        print(f"built the stubs into {options.out}")
    else:
        built = [f"built the stubs of {source.relative_to(ROOT)}" for source in generate()]
        print("\n".join(built) or "stubs are up to date")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, FileNotFoundError) as error:
        sys.exit(str(error))
