"""Files as PyTorch wrote them before version 1.6, put together by hand, whole, damaged and hostile."""

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from model.errors import SettingsError
from model.network.torch_weights import read_torch_weights

DAMAGED = "expected weights that PyTorch saved, found a file that is none, damaged or cut off; fetch it again"
NEW_DICT = b"ccollections\nOrderedDict\n)R"
FLOATS, LONGS = b"ctorch\nFloatStorage\n", b"ctorch\nLongStorage\n"
MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)


def numbers(*values: int) -> bytes:
    """A tuple, which PyTorch writes in one of three ways by its length."""
    inner = b"".join(map(number, values))
    return {0: b")", 1: inner + b"\x85", 2: inner + b"\x86", 3: inner + b"\x87"}.get(len(values), b"(" + inner + b"t")


def tensor(key: str, shape: tuple, strides: tuple, offset: int = 0, dtype: bytes = FLOATS) -> bytes:
    storage = b"(" + text("storage") + dtype + text(key) + text("cpu") + number(6) + b"NtQ"
    rest = number(offset) + numbers(*shape) + numbers(*strides) + b"\x89" + NEW_DICT
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"tR"


def program(*steps: bytes) -> bytes:
    return b"\x80\x02" + b"".join(steps) + b"."


def file_of(weights: bytes, storages: dict[str, np.ndarray], little_endian: bytes = b"\x88") -> bytes:
    system = b"}(" + text("protocol_version") + b"M\xe9\x03" + text("little_endian") + little_endian + b"u"
    keys = b"](" + b"".join(map(text, storages)) + b"e"
    raw = b"".join(struct.pack("<q", array.size) + array.tobytes() for array in storages.values())
    return MAGIC + program(b"M\xe9\x03") + program(system) + program(weights) + program(keys) + raw


def state(**weights: bytes) -> bytes:
    """A state dict with PyTorch's versions of layers, which are forgotten."""
    versions = b"}" + text("_metadata") + b"}" + text("conv") + b"}" + text("version") + number(1) + b"sssb"
    return NEW_DICT + b"q\x00(" + b"".join(text(name) + value for name, value in weights.items()) + b"u" + versions


def read(folder: Path, data: bytes) -> dict[str, np.ndarray]:
    path = folder / "weights.pth"
    path.write_bytes(data)
    return read_torch_weights(path)


def refusal(folder: Path, data: bytes) -> str:
    with pytest.raises(SettingsError) as raised:
        read(folder, data)
    start, _, sentence = str(raised.value).partition(": ")
    assert start == f"weights {folder / 'weights.pth'}"
    return sentence


SIX = np.arange(6, dtype=np.float32) / 4
GOOD = file_of(
    state(
        rows=tensor("1", (2, 3), (3, 1)),
        columns=tensor("1", (3, 2), (1, 3)),
        tail=tensor("1", (2,), (1,), offset=4),
        cube=tensor("1", (1, 1, 2, 3), (6, 6, 3, 1)),
        steps=tensor("2", (), (), dtype=LONGS),
    ),
    {"1": SIX, "2": np.array([1 << 40])},
)


def test_arrays_are_views_of_storages(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert {name: (array.shape, array.dtype.name) for name, array in found.items()} == {
        "rows": ((2, 3), "float32"),
        "columns": ((3, 2), "float32"),
        "tail": ((2,), "float32"),
        "cube": ((1, 1, 2, 3), "float32"),
        "steps": ((), "int64"),
    }
    np.testing.assert_array_equal(found["rows"], [[0, 0.25, 0.5], [0.75, 1, 1.25]])
    np.testing.assert_array_equal(found["columns"], found["rows"].T)
    np.testing.assert_array_equal(found["tail"], [1, 1.25])
    np.testing.assert_array_equal(found["cube"][0, 0], found["rows"])
    assert found["steps"] == 1 << 40
    assert not any(array.flags.writeable for array in found.values())


def test_what_is_remembered_is_found_again(tmp_path: Path) -> None:
    """PyTorch writes a thing once, notes its place (q, r) and fetches it from there (h, j)."""
    noted = text("a") + tensor("1", (6,), (1,)) + b"q\x01r\x00\x01\x00\x00s"
    fetched = text("b") + b"h\x01s" + text("c") + b"j\x00\x01\x00\x00s"
    found = read(tmp_path, file_of(NEW_DICT + noted + fetched, {"1": SIX}))
    assert list(found) == ["a", "b", "c"]
    for array in found.values():
        np.testing.assert_array_equal(array, SIX)


@pytest.mark.parametrize(
    ("weights", "found"),
    [
        (b"cposix\nmkdir\n" + text("made") + b"\x85R", "the Python object posix.mkdir"),
        (b"cbuiltins\neval\n" + text("1") + b"\x85R", "the Python object builtins.eval"),
        (b"ctorch\nHalfStorage\n", "the Python object torch.HalfStorage"),
        (text("posix") + text("mkdir") + b"\x93", "the step STACK_GLOBAL of a pickle"),
        (b"(" + text("made") + b"iposix\nmkdir\n", "the step INST of a pickle"),
        (FLOATS + b")\x81", "the step NEWOBJ of a pickle"),
        (b"\x82\x01", "the step EXT1 of a pickle"),
        (state(epoch=number(3)), "a int in the place of an array"),
        (state(state_dict=state(w=tensor("1", (6,), (1,)))), "a dict in the place of an array"),
    ],
)
def test_more_than_weights_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: bytes, found: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(tmp_path, file_of(weights, {"1": SIX})) == (
        f"expected nothing but names, shapes and numbers, found {found}; none of it was run. Give a file of weights"
        " alone"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pth"]


def test_a_file_cut_off_anywhere(tmp_path: Path) -> None:
    for length in range(len(GOOD)):
        assert refusal(tmp_path, GOOD[:length]) == DAMAGED, length


@pytest.mark.parametrize(
    "data",
    [
        b"no weights",
        GOOD.replace(MAGIC, program(b"K\x01")),
        file_of(state(), {}, little_endian=b"\x89"),
        file_of(tensor("1", (6,), (1,)), {"1": SIX}),  # an array without a name
        file_of(state(w=tensor("1", (7,), (1,))), {"1": SIX}),
        file_of(state(w=tensor("1", (6,), (1,), offset=1)), {"1": SIX}),
        file_of(state(w=tensor("1", (2,), (1,), offset=-1)), {"1": SIX}),
        file_of(state(w=tensor("1", (2,), (-1,))), {"1": SIX}),
        file_of(state(w=tensor("1", (-2,), (1,))), {"1": SIX}),
        file_of(state(w=tensor("1", (2, 3), (1,))), {"1": SIX}),
        file_of(state(w=tensor("other", (6,), (1,))), {"1": SIX}),
        file_of(state(w=tensor("1", (6,), (1,))), {"1": SIX}).replace(struct.pack("<q", 6), struct.pack("<q", -1)),
        file_of(NEW_DICT + b")" + b"\x85" * 200_000 + b"Ns", {}),  # hashed, this key would end the process
    ],
)
def test_a_file_that_contradicts_itself(tmp_path: Path, data: bytes) -> None:
    assert refusal(tmp_path, data) == DAMAGED


@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # pickletools', of a step that is refused right after
def test_changed_bytes_are_read_or_refused(tmp_path: Path) -> None:
    """Whatever bytes change, no other error than SettingsError is raised."""
    generator = np.random.default_rng(0)
    for _ in range(2000):
        data = bytearray(GOOD)
        for position in generator.integers(0, len(GOOD), generator.integers(1, 4)):
            data[position] = generator.integers(256)
        with suppress(SettingsError):
            read(tmp_path, bytes(data))


def test_the_newer_format_says_how_to_save(tmp_path: Path) -> None:
    assert refusal(tmp_path, b"PK\x03\x04 and more") == (
        "expected PyTorch's format from before version 1.6, found its newer zip archive; save them with"
        " torch.save(weights, file, _use_new_zipfile_serialization=False)"
    )


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"weights .*none.pth cannot be read: .*; give a file that can"):
        read_torch_weights(tmp_path / "none.pth")
