"""labeling distribution: products per category, before and after."""

import json
from pathlib import Path

import numpy as np
import pytest

from labeling.commands.distribution_command import DistributionCommand, run_distribution
from labeling.distribution.imbalance import Imbalance
from labeling.distribution.samplings import samplings
from labeling.settings import DistributionSettings
from model.errors import CatalogError
from tests.labeling.support import read_rows, write_rows
from tokenizer.errors import SettingsError

SIZES = {"A>a": 130, "A>b": 100, "B>c": 50, "B>d": 20, "B>e": 10, "C": 2}


def shop(path: Path, sizes: dict[str, int]) -> Path:
    labels = [category for category, count in sizes.items() for _ in range(count)]
    rows = [
        {"product_id": str(i), "product_name": f"name {i}", "category": category} for i, category in enumerate(labels)
    ]
    return write_rows(path, rows)


def test_measures_by_eye() -> None:
    found = Imbalance.of(np.array([1, 0, 3]), DistributionSettings(head_products=2, tail_products=2))
    assert found.gini == pytest.approx(0.25)  # half the mean difference, 1, over the mean, 2
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert found.evenness == pytest.approx(entropy / np.log(2))
    assert found.effective_categories == pytest.approx(np.exp(entropy))
    assert (found.imbalance_factor, found.half_categories, found.median) == (3, 1, 2)
    assert {part: (size.categories, size.products) for part, size in found.parts.items()} == {
        "head": (1, 3), "middle": (0, 0), "tail": (1, 1), "empty": (1, 0),
    }  # fmt: skip


def test_even_and_single_categories() -> None:
    even = Imbalance.of(np.full(40, 25), DistributionSettings())
    assert (even.gini, even.imbalance_factor, even.half_categories) == (pytest.approx(0), 1, 20)
    assert even.evenness == pytest.approx(1)
    assert even.effective_categories == pytest.approx(40)
    one = Imbalance.of(np.array([7]), DistributionSettings())
    assert (one.gini, one.evenness, one.half_categories) == (0, 1, 1)


def test_samplings_keep_what_they_promise() -> None:
    products = np.array([1600, 100, 100, 25, 0])
    found = {one.name: one for one in samplings(products, DistributionSettings())}
    assert found["cap"].rows.tolist() == [100, 100, 100, 25, 0]  # the median of those with products
    capped = samplings(products, DistributionSettings(sampling_cap=30))[0]
    assert capped.rows.tolist() == [30, 30, 30, 25, 0]
    shares = found["sqrt"].rows / products.sum()
    assert shares.tolist() == pytest.approx([40 / 65, 10 / 65, 10 / 65, 5 / 65, 0])
    assert found["sqrt"].most_repeats(products) == pytest.approx(1825 * 5 / 65 / 25)
    assert found["temperature"].rows.sum() == pytest.approx(1825)
    assert samplings(products, DistributionSettings(sampling_temperature=1))[2].rows.tolist() == pytest.approx(
        products.tolist()
    )


def test_before_and_after(toy_cache: Path, tmp_path: Path) -> None:
    before = shop(tmp_path / "before.csv", SIZES)
    now = shop(tmp_path / "now.csv", {"A>a": 130, "A>b": 110, "B>c": 80, "B>f": 3, "": 4})
    out = tmp_path / "out"
    said = run_distribution(DistributionCommand(now, out, before, cache_dir=toy_cache))
    values = json.loads((out / "distribution.json").read_text(encoding="utf-8"))
    assert said == (
        "323 products in 4 categories: 2 with more than 100 products hold 74.3% of them, 1 with fewer than 20 hold"
        f" 0.9%; Gini {values['catalog']['gini']:.3f} (before {values['before']['gini']:.3f}); 4 rows have no usable"
        f" label; see {out / 'report.html'}"
    )
    assert values["before"]["parts"]["head"] == {"categories": 1, "products": 130}
    assert values["before"]["parts"]["middle"] == {"categories": 3, "products": 170}
    assert values["catalog"]["num_left_out"] == 4
    assert values["samplings"]["cap"]["rows"] == 95 * 2 + 80 + 3
    rows = read_rows(out / "categories.csv")
    assert [(row["category"], row["products"], row["products_before"], row["part"]) for row in rows] == [
        ("A>a", "130", "130", "head"), ("A>b", "110", "100", "head"), ("B>c", "80", "50", "middle"),
        ("B>f", "3", "0", "tail"), ("B>d", "0", "20", "empty"), ("B>e", "0", "10", "empty"), ("C", "0", "2", "empty"),
    ]  # fmt: skip
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "1 categories are new, 3 are gone" in page
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page.replace("http-equiv", "")


def test_one_catalog_with_the_shops_tree(toy_cache: Path, tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop.csv", SIZES)
    tree = write_rows(
        tmp_path / "tree.csv", [{"category_id": str(i), "category": path} for i, path in enumerate([*SIZES, "D>empty"])]
    )
    run_distribution(DistributionCommand(catalog, tmp_path / "out", taxonomy=tree, cache_dir=toy_cache))
    values = json.loads((tmp_path / "out" / "distribution.json").read_text(encoding="utf-8"))
    assert values["before"] is None
    assert values["catalog"]["parts"]["empty"] == {"categories": 1, "products": 0}
    assert (values["catalog"]["num_categories"], values["catalog"]["smallest"]) == (6, 2)
    rows = read_rows(tmp_path / "out" / "categories.csv")
    assert "products_before" not in rows[0]
    assert (rows[-1]["category"], rows[-1]["part"], rows[-1]["rows_sqrt"]) == ("D>empty", "empty", "0.0")
    assert "before" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8").lower().split("method")[0]


def test_what_cannot_be_counted_is_refused(toy_cache: Path, tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop.csv", {"": 3})
    with pytest.raises(CatalogError, match="expected rows with a category, found none; name the heading with"):
        run_distribution(DistributionCommand(catalog, tmp_path / "out", cache_dir=toy_cache))
    assert not (tmp_path / "out").exists()
    with pytest.raises(SettingsError, match="head_products: expected tail_products or more, found 10"):
        DistributionSettings(head_products=10)
    with pytest.raises(SettingsError, match="sampling_temperature: expected 1 or more"):
        DistributionSettings(sampling_temperature=0.5)
