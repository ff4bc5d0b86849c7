"""Reads a file of weights that PyTorch saved, without PyTorch and without running anything that the file says.

    five pickles: magic, version, system, {name: tensor}, keys of storages ── storage: count, numbers ── storage ...

A pickle is a program for a stack machine, and may call anything. `_Interpreter` knows the few steps that weights
need and makes dictionaries, tuples and the records below of them; any other step is refused.
"""

import io
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from model.errors import SettingsError

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_ZIP_START = b"PK\x03\x04"
_COUNT = np.dtype("<i8")

_NEW_DICT = "collections OrderedDict"
_NEW_TENSOR = "torch._utils _rebuild_tensor_v2"
_DTYPES: dict[str, np.dtype] = {"torch FloatStorage": np.dtype("<f4"), "torch LongStorage": np.dtype("<i8")}


class _Global(NamedTuple):
    """A module and a name in it, as the file writes them."""

    name: str


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype


class _Tensor(NamedTuple):
    """A view of a storage; offset and strides count its numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _RefusedError(Exception):
    """The file holds something else than weights; the message says what."""


def read_torch_weights(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays that `torch.save` wrote of a state dict, in its format from before PyTorch 1.6.

    Returns:
        name to a read-only float32 or int64 array.
    Raises:
        SettingsError: the file cannot be read, is damaged or of another format, or holds more than weights.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"weights {path} cannot be read: {error}; give a file that can") from error
    if data.startswith(_ZIP_START):
        raise SettingsError(
            f"weights {path}: expected PyTorch's format from before version 1.6, found its newer zip archive; save them"
            " with torch.save(weights, file, _use_new_zipfile_serialization=False)"
        )
    try:
        return _read(data)
    except _RefusedError as error:
        raise SettingsError(
            f"weights {path}: expected nothing but names, shapes and numbers, found {error}; none of it was run. Give"
            " a file of weights alone"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:  # a step on wrong values
        raise SettingsError(
            f"weights {path}: expected weights that PyTorch saved, found a file that is none, damaged or cut off;"
            " fetch it again"
        ) from error


def _read(data: bytes) -> dict[str, np.ndarray]:
    stream = io.BytesIO(data)
    magic, version, system = (_Interpreter().run(stream) for _ in range(3))
    if (magic, version, system["little_endian"]) != (_MAGIC, _VERSION, True):
        raise ValueError("another header")
    tensors = _Interpreter().run(stream)
    for tensor in tensors.values():
        if not isinstance(tensor, _Tensor):
            raise _RefusedError(f"a {type(tensor).__name__} in the place of an array")
    keys = _Interpreter().run(stream)
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    storages = _storages(data, stream.tell(), keys, dtypes)
    return {name: _array(tensor, storages[tensor.storage.key]) for name, tensor in tensors.items()}


def _storages(data: bytes, start: int, keys: list[str], dtypes: dict[str, np.dtype]) -> dict[str, np.ndarray]:
    """Cut the numbers behind the pickles into storages; they lie in the order of the keys."""
    storages = {}
    for key in map(_text, keys):
        count = int(np.frombuffer(data, _COUNT, 1, start)[0])
        if count < 0:  # which NumPy takes for all that are left
            raise ValueError("a negative count")
        start += _COUNT.itemsize
        storages[key] = np.frombuffer(data, dtypes[key], count, start)
        start += storages[key].nbytes
    return storages


def _array(tensor: _Tensor, storage: np.ndarray) -> np.ndarray:
    """View a storage as a tensor. NumPy checks that no number of it lies outside."""
    size = storage.itemsize
    strides = [stride * size for stride in tensor.strides]
    return np.ndarray(tensor.shape, storage.dtype, storage, tensor.offset * size, strides)


def _text(value: Any) -> str:
    """A key, which has to be a text: hashing a tuple in a tuple in a tuple ... would end the process."""
    if not isinstance(value, str):
        raise TypeError("a key that is no text")
    return value


class _Interpreter:
    """Runs one pickle's program, as far as weights need it."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, stream: io.BytesIO) -> Any:
        """Run to the program's end and return what it leaves on the stack."""
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name in self._GIVEN:
                self._stack.append(argument)
            elif opcode.name in self._NEW:
                self._stack.append(self._NEW[opcode.name]())
            elif opcode.name in self._STEPS:
                self._STEPS[opcode.name](self, argument)
            else:
                raise _RefusedError(f"the step {opcode.name} of a pickle")
        return self._stack.pop()

    def _pop(self, count: int) -> list[Any]:
        return [self._stack.pop() for _ in range(count)][::-1]

    def _pop_to_mark(self) -> list[Any]:
        return self._pop(len(self._stack) - self._marks.pop())

    def _pass(self, _: None) -> None:
        """Leave all as it is."""

    def _mark(self, _: None) -> None:
        self._marks.append(len(self._stack))

    def _put(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def _get(self, place: int) -> None:
        self._stack.append(self._memo[place])

    def _tuple(self, _: None) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def _append(self, _: None) -> None:
        item = self._stack.pop()
        self._stack[-1].append(item)

    def _extend(self, _: None) -> None:
        items = self._pop_to_mark()
        self._stack[-1].extend(items)

    def _set_item(self, _: None) -> None:
        name, value = self._pop(2)
        self._stack[-1][_text(name)] = value

    def _set_items(self, _: None) -> None:
        items = self._pop_to_mark()
        self._stack[-1].update(zip(map(_text, items[::2]), items[1::2], strict=True))

    def _global(self, name: str) -> None:
        if name not in {_NEW_DICT, _NEW_TENSOR, *_DTYPES}:
            raise _RefusedError(f"the Python object {name.replace(' ', '.')}")
        self._stack.append(_Global(name))

    def _reduce(self, _: None) -> None:
        """Make what a call would return."""
        function, arguments = self._pop(2)
        if function == _Global(_NEW_DICT):
            self._stack.append({})
        elif function == _Global(_NEW_TENSOR):
            self._stack.append(_Tensor(*arguments[:4]))  # the others are for training
        else:
            raise TypeError("a call of what cannot be called")

    def _storage(self, _: None) -> None:
        _kind, dtype, key, *_device = self._stack.pop()
        self._stack.append(_Storage(_text(key), _DTYPES[dtype.name]))

    def _ignore(self, _: None) -> None:
        """Forget the state of the dictionary, which counts versions of PyTorch's layers."""
        self._stack.pop()

    #: Steps that put their argument on the stack.
    _GIVEN = frozenset({"LONG1", "BININT", "BININT1", "BININT2", "BINUNICODE"})
    #: Steps that put a new value there.
    _NEW: ClassVar[dict[str, Callable[[], Any]]] = {
        "NONE": lambda: None,
        "NEWTRUE": lambda: True,
        "NEWFALSE": lambda: False,
        "EMPTY_DICT": dict,
        "EMPTY_LIST": list,
        "EMPTY_TUPLE": tuple,
    }
    #: Steps that change what is there.
    _STEPS: ClassVar[dict[str, Callable[..., None]]] = {
        "PROTO": _pass,
        "STOP": _pass,
        "MARK": _mark,
        "BINPUT": _put,
        "LONG_BINPUT": _put,
        "BINGET": _get,
        "LONG_BINGET": _get,
        "TUPLE": _tuple,
        "TUPLE1": lambda self, _: self._stack.append(tuple(self._pop(1))),
        "TUPLE2": lambda self, _: self._stack.append(tuple(self._pop(2))),
        "TUPLE3": lambda self, _: self._stack.append(tuple(self._pop(3))),
        "APPEND": _append,
        "APPENDS": _extend,
        "SETITEM": _set_item,
        "SETITEMS": _set_items,
        "GLOBAL": _global,
        "BINPERSID": _storage,
        "REDUCE": _reduce,
        "BUILD": _ignore,
    }
