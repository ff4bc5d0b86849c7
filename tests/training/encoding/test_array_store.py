"""Arrays that grow on disk."""

from pathlib import Path

import numpy as np
import pytest

from training.encoding.array_store import ArrayWriter, has_arrays, open_arrays


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    parts = [{"ids": np.arange(6, dtype=np.int32).reshape(3, 2) + i, "y": np.arange(3.0) * i} for i in range(3)]
    with ArrayWriter(tmp_path / "new" / "arrays") as writer:
        for part in parts:
            writer.append(part)
        assert writer.num_rows == 9
        assert not has_arrays(tmp_path / "new" / "arrays")
    arrays = open_arrays(tmp_path / "new" / "arrays")
    for name in ("ids", "y"):
        expected = np.concatenate([part[name] for part in parts])
        np.testing.assert_array_equal(arrays[name], expected)
        assert arrays[name].dtype == expected.dtype
        assert not arrays[name].flags.writeable
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["arrays"]


def test_rows_that_are_not_contiguous_are_written_in_their_order(tmp_path: Path) -> None:
    values = np.arange(12).reshape(3, 4).T
    with ArrayWriter(tmp_path / "a") as writer:
        writer.append({"values": values})
    np.testing.assert_array_equal(open_arrays(tmp_path / "a")["values"], values)


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    write_and_stop = pytest.raises(RuntimeError, match="stop")
    with write_and_stop, ArrayWriter(tmp_path / "a") as writer:
        writer.append({"y": np.zeros(3)})
        raise RuntimeError("stop")
    assert not list(tmp_path.iterdir())


def test_an_exception_keeps_the_older_arrays(tmp_path: Path) -> None:
    with ArrayWriter(tmp_path / "a") as writer:
        writer.append({"y": np.arange(2)})
    with pytest.raises(RuntimeError, match="stop"), ArrayWriter(tmp_path / "a") as writer:
        raise RuntimeError("stop")
    np.testing.assert_array_equal(open_arrays(tmp_path / "a")["y"], [0, 1])


def test_newer_arrays_replace_older_ones(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with ArrayWriter(tmp_path / "a") as writer:
            writer.append({name: np.arange(2)})
    assert list(open_arrays(tmp_path / "a")) == ["new"]
    assert not (tmp_path / "a" / "old.bin").exists()


@pytest.mark.parametrize(
    "other", [{"y": np.zeros(2, np.float64)}, {"y": np.zeros((2, 1), np.float32)}, {"z": np.zeros(2, np.float32)}]
)
def test_rows_of_another_form_are_refused(tmp_path: Path, other: dict[str, np.ndarray]) -> None:
    refused = pytest.raises(ValueError, match=r"expected arrays \{'y': \('<f4', \[\]\)\}, found")
    with refused, ArrayWriter(tmp_path / "a") as writer:
        writer.append({"y": np.zeros(2, np.float32)})
        writer.append(other)
    assert not has_arrays(tmp_path / "a")


def test_zero_rows_and_no_arrays_are_read_back(tmp_path: Path) -> None:
    with ArrayWriter(tmp_path / "a") as writer:
        writer.append({"x": np.zeros((0, 3), np.float32), "wide": np.zeros((0, 0), np.int8)})
    arrays = open_arrays(tmp_path / "a")
    assert arrays["x"].shape == (0, 3)
    assert arrays["x"].dtype == np.float32
    with ArrayWriter(tmp_path / "none"):
        pass
    assert has_arrays(tmp_path / "none")
    assert open_arrays(tmp_path / "none") == {}
