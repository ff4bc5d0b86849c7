"""The serving benchmark: its catalog, its tables, and a short run of the competitors that start quickly."""

import io
import json
import subprocess
import sys
from pathlib import Path

from PIL import Image
from rich.console import Console

from benchmarks.serving.comparison import write_catalog
from benchmarks.serving.tables import rate_table
from client.catalog import read_items
from tests.conftest import toy_picture


def toy_catalog(folder: Path) -> Path:
    (folder / "red.png").write_bytes(toy_picture((40, 40, 220), 1))
    path = folder / "toy.csv"
    path.write_text(
        "product_id,product_name,image\n1,반팔 티셔츠,red.png\n2,노트북,\n3,바지,red.png\n", encoding="utf-8"
    )
    return path


def test_pictures_become_jpegs_of_one_size(tmp_path: Path) -> None:
    written = write_catalog(toy_catalog(tmp_path), tmp_path / "written", px=48, limit=2)
    first, second = (item.product for item in read_items(written))
    assert (first.product_id, first.product_name, second.image) == ("1", "반팔 티셔츠", None)
    assert first.image is not None
    with Image.open(io.BytesIO(first.image)) as image:
        assert (image.format, image.size) == ("JPEG", (48, 48))


def test_text_only_catalogs_have_no_picture(tmp_path: Path) -> None:
    written = write_catalog(toy_catalog(tmp_path), tmp_path / "written", px=0, limit=3)
    assert [item.product.image for item in read_items(written)] == [None] * 3


def test_the_table_compares_within_a_round() -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(rate_table("224 px", {"ceiling": [100.0, 50.0, 100.0], "aisle": [90.0, 45.0, 80.0]}))
    assert "aisle" in (text := console.export_text())
    assert "0.90" in text  # the median of the rounds' ratios, not 80 / 100


def test_a_short_run(toy_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    flags = ["--competitors", "ceiling", "aisle", "--rounds", "1", "--duration-s", "0.3", "--concurrency", "2"]
    paths = ["--bundle", str(toy_bundle), "--catalog", str(toy_catalog(tmp_path)), "--json", str(out)]
    command = [sys.executable, "-m", "benchmarks.serving.comparison", *paths, *flags, "--picture-px", "32", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text(encoding="utf-8"))["figures"]
    assert list(figures) == ["32 px", "text"]
    for found in figures.values():
        (ceiling,), (aisle,) = (found["products_per_s"][name] for name in ("ceiling", "aisle"))
        assert min(ceiling, aisle) > 0
        assert found["rates_rps"] == {"aisle": aisle / 2}
        (p50,), (p99,) = (found["latency_ms"]["aisle"][name] for name in ("p50", "p99"))
        assert 0 < p50 <= p99
