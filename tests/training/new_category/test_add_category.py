"""New leaves from a few examples, without training."""

import json
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog.labels.taxonomy_file import read_taxonomy
from catalog.read_options import ReadOptions
from model.bundle.bundle import load_bundle
from model.errors import BundleError, CatalogError, TaxonomyError
from model.prediction.answers import Prediction
from model.prediction.calibration import NEVER
from model.predictor import Predictor
from model.product import TEXT_HEADS, Product
from model.taxonomy import Taxonomy
from tests.conftest import TOY_SHOP, toy_picture, toy_rows, write_catalog
from training.commands.command_line import main
from training.evaluation.evaluate import evaluate
from training.new_category.add_category import AddCategoryJob, add_category, extended, read_new_leaves
from training.new_category.contract_proof import prove_contract
from training.new_category.cost import NewCategoryCost
from training.predict.answered_catalog import CatalogSource

#: The first lies deeper than the tree of the bundle.
SHOES, COFFEE = "의류>신발>운동화>러닝화", "식품>커피"
#: Their words are known to the bundle, together they are new: n-grams that training never saw say nothing.
NEW_SHOP = {
    SHOES: (("데님 laptop 게이밍", "데님 노트북 청바지"), "패션 > 슈즈", (40, 220, 220)),
    COFFEE: (("라운드 울트라북 15인치", "라운드 gram 티"), "식료품", (20, 40, 60)),
}


def new_rows(folder: Path, prefix: str, count: int) -> list[dict[str, str]]:
    """Rows of NEW_SHOP, all with a picture."""
    rows = []
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for i in range(count):
        category, (names, mall_category, color) = list(NEW_SHOP.items())[i % 2]
        row = {"product_id": f"{prefix}{i}", "product_name": f"{names[i // 2 % 2]} {i} 무료배송", "category": category}
        row |= {"mall_category": mall_category, "image": f"images/{prefix}{i}.jpg"}
        (folder / row["image"]).write_bytes(toy_picture(color, i))
        rows.append(row)
    return rows


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, toy_bundle: Path, toy_cache: Path) -> AddCategoryJob:
    """12 examples of two new leaves and two bad rows; a validation catalog of 30 old rows, 8 new and one unknown."""
    folder = tmp_path_factory.mktemp("new-category")
    bad = [{"product_id": "no label", "product_name": "신발"}, {"product_id": "empty", "category": SHOES}]
    unknown = [{"product_id": "unknown", "product_name": "신발", "category": "의류>신발>장화"}]
    return AddCategoryJob(
        toy_bundle,
        write_catalog(folder / "new.csv", new_rows(folder, "n", 12) + bad),
        write_catalog(folder / "val.csv", toy_rows(folder, "o", 30) + new_rows(folder, "f", 8) + unknown),
        folder / "models" / "toy" / "2",
        ReadOptions(),
        None,
        folder / "rejects.csv",
        toy_cache,
    )


@pytest.fixture(scope="module")
def added_with_contract(job: AddCategoryJob) -> tuple[NewCategoryCost, dict[str, Any]]:
    return add_category(job)


@pytest.fixture(scope="module")
def added(added_with_contract: tuple[NewCategoryCost, dict[str, Any]]) -> NewCategoryCost:
    return added_with_contract[0]


@pytest.fixture(scope="module")
def wider(added: NewCategoryCost, job: AddCategoryJob) -> Predictor:
    return Predictor.open(job.out, "openvino")


def predictions(predictor: Predictor, products: list[Product]) -> list[Prediction]:
    found = predictor.predict(products)
    assert all(isinstance(one, Prediction) for one in found), found
    return [one for one in found if isinstance(one, Prediction)]


def test_the_cost_and_the_recall_are_reported(added: NewCategoryCost, job: AddCategoryJob) -> None:
    assert added.num_old_rows == 30
    assert added.accuracy_before - 0.1 <= added.accuracy_after <= added.accuracy_before
    assert [leaf.category for leaf in added.new_leaves] == [COFFEE, SHOES]
    for leaf in added.new_leaves:
        assert (leaf.num_examples, leaf.num_further) == (6, 4)
        assert min(leaf.num_found_left_out, leaf.num_found_further) >= 3
    lines = added.lines("val.csv")
    assert lines[0].startswith(f"old categories: accuracy {added.accuracy_before:.4f} before, ")
    assert lines[2].startswith(f"{SHOES}: {added.new_leaves[1].num_found_left_out} of 6 examples found when left out")
    rejected = job.rejects.read_text()
    for text in ("no label", "nothing to answer", "unknown label: '의류>신발>장화' is not a leaf of the bundle's tree"):
        assert text in rejected
    assert rejected.count("\n") == 4


def test_the_new_bundle_is_whole(added: NewCategoryCost, job: AddCategoryJob) -> None:
    old, new = load_bundle(job.bundle), load_bundle(job.out)
    assert new.taxonomy.leaves == (*old.taxonomy.leaves, COFFEE, SHOES)
    deeper = old.calibration.deepened(4)
    assert deeper.thresholds == (*old.calibration.thresholds, NEVER)
    assert {len(thresholds) for thresholds in deeper.subset_thresholds.values()} == {4}
    assert new.calibration == replace(deeper, unproven=(COFFEE, SHOES), coverages=(0.0,) * 4)
    assert new.metrics["new_category_costs"] == json.loads(json.dumps([added.to_dict()]))
    examples = [leaf.num_examples for leaf in added.new_leaves]
    assert new.metrics["training_products"] == [*old.metrics["training_products"], *examples]
    card = (job.out / "MODEL_CARD.md").read_text()
    assert "Predicts one of 5 categories in 4 levels from" in card
    assert "Trained on 90 products; measured on 45 others.\nAfter that 2 categories were added without training" in card
    assert "| depth 4 | 0 % | – | – | nothing accepted |" in card
    assert card.count("## Categories added without training") == 1
    assert f"- {SHOES}: " in card


def test_the_contract_is_measured_anew(
    added_with_contract: tuple[NewCategoryCost, dict[str, Any]], job: AddCategoryJob
) -> None:
    """38 products cannot show 98 %."""
    _, contract = added_with_contract
    assert (contract["count"], contract["num_accepted"], contract["is_kept"]) == (38, 0, None)
    bundle = load_bundle(job.out)
    assert bundle.metrics["contract"] == contract
    assert bundle.metrics["contract_by_precision"] == {}
    combinations = bundle.metrics["field_combinations"]
    assert sum(entry["count"] for entry in combinations) == 38
    assert {entry["num_accepted"] for entry in combinations} == {0}
    assert "| all | 0 % | – | – | nothing accepted |" in (job.out / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_thresholds_rise_where_the_wider_model_needs_it_and_never_fall(wider: Predictor, job: AddCategoryJob) -> None:
    """Old thresholds are floors, whatever the labelled products would permit."""
    options = ReadOptions("category=category")
    promised = replace(wider.bundle.calibration, precision_target=0.6, precision_confidence=0.9, subset_thresholds={})
    low, high = (
        prove_contract(
            Predictor(replace(wider.bundle, calibration=replace(promised, thresholds=thresholds)), wider.engine),
            CatalogSource(job.val, options, job.cache_dir),
        )
        for thresholds in ((0.0, 0.0, 0.0, NEVER), (0.4, 2.0, 0.97, NEVER))
    )
    assert low.contract["is_kept"]
    assert low.contract["accepted_share"] > 0.5
    for new, old in zip(high.calibration.thresholds, (0.4, 2.0, 0.97, NEVER), strict=True):
        assert new >= old
    assert high.contract["accepted_share"] <= low.contract["accepted_share"]


def test_a_bundle_with_a_deeper_tree_is_evaluated(wider: Predictor, job: AddCategoryJob, tmp_path: Path) -> None:
    """Old leaves are accepted where they were before, above the new level."""
    promised = replace(wider.bundle.calibration, thresholds=(0.0, 0.0, 0.5, NEVER), subset_thresholds={})
    predictor = Predictor(replace(wider.bundle, calibration=promised), wider.engine)
    metrics, _ = evaluate(predictor, CatalogSource(job.val, ReadOptions(), job.cache_dir), tmp_path / "report")
    assert [entry["depth"] for entry in metrics["contract"]["depths"]] == [1, 2, 3, 4]
    assert metrics["contract"]["depths"][2]["num_accepted"] > 0
    assert metrics["contract"]["depths"][3]["num_accepted"] == 0
    assert metrics["contract"]["leaf_accepted_share"] > 0


@pytest.mark.parametrize("field", ["product_name", "mall_category"])
def test_a_new_category_is_found_by_one_field(wider: Predictor, field: str) -> None:
    products = [Product(category, **{field: names[0] if field == "product_name" else mall})
                for category, (names, mall, _) in NEW_SHOP.items()]  # fmt: skip
    for found in predictions(wider, products):
        assert found.categories[0].category == found.product_id
        heads = {head: scored.category for head, scored in found.heads.items()}
        for head in TEXT_HEADS:  # they keep to the old leaves: the other heads outvote them
            heads.pop(head, None)
        assert set(heads.values()) == {found.product_id}


def test_new_categories_are_left_for_review(wider: Predictor) -> None:
    wide = replace(wider.bundle.calibration, thresholds=(0.0, 0.0, 0.0, NEVER), subset_thresholds={})
    wider = Predictor(replace(wider.bundle, calibration=wide), wider.engine)
    shoes, coffee, shirt = predictions(
        wider,
        [
            Product("1", "데님 laptop 게이밍", "패션 > 슈즈"),
            Product("2", "라운드 gram 티", "식료품"),
            Product("3", "반팔 티셔츠", "패션 > 탑"),
        ],
    )
    assert (shoes.accepted, shoes.needs_review) == (None, True)  # its old siblings do not prove the parent
    assert (coffee.accepted, coffee.needs_review) == (None, True)
    assert shirt.accepted is not None
    assert not shirt.needs_review


def test_old_leaves_keep_their_order_and_their_logits(wider: Predictor, toy_bundle: Path) -> None:
    before = Predictor.open(toy_bundle, "openvino")
    texts, random = ("데님 진", "PC", "brand1", "maker"), np.random.default_rng(0)
    products = [
        Product(
            str(i),
            *(text * (i >> bit & 1) for bit, text in enumerate(texts)),
            image_features=random.random(before.bundle.image_feature_dim, np.float32) if i % 3 else None,
        )
        for i in range(1, 16)
    ]
    one, two = (predictor.classify(predictor.features(products)) for predictor in (before, wider))
    for name, values in one.items():
        if name == "joint_logits":  # the prior mass is shared by more leaves
            continue
        np.testing.assert_allclose(two[name][:, : values.shape[1]], values, atol=1e-4, rtol=1e-4)
    for old, new in zip(predictions(before, products), predictions(wider, products), strict=True):
        kept = [scored.category for scored in new.categories if scored.category not in NEW_SHOP]
        assert kept == [scored.category for scored in old.categories][: len(kept)]


def test_more_can_be_added_by_command_to_what_was_added_to(
    wider: Predictor, job: AddCategoryJob, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"product_id": f"t{i}", "product_name": "스키니 티", "mall_category": "PC > 팬츠", "category": "식품>차"}
        for i in range(3)
    ]
    catalog, out = write_catalog(tmp_path / "tea.csv", rows), tmp_path / "3"
    arguments = ["--bundle", str(job.out), "--catalog", str(catalog), "--val", str(job.val), "--out", str(out)]
    assert main(["add-category", *arguments, "--cache-dir", str(job.cache_dir)]) == 0
    old, tea, promise, last = capsys.readouterr().out.splitlines()
    assert promise == "accepted 0 %, at a leaf 0 %; promised 98 %: nothing accepted"
    assert old.startswith("old categories: accuracy ")
    assert tea.startswith("식품>차: ")
    assert tea.endswith(" of 3 examples found when left out, no further product in val.csv")
    assert last == f"new categories need review until the next training; bundle in {out}"
    bundle = load_bundle(out)
    assert bundle.calibration.unproven == (COFFEE, SHOES, "식품>차")
    assert len(bundle.metrics["new_category_costs"]) == 2
    card = (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Predicts one of 6 categories" in card
    assert card.count("## Categories added without training") == 1
    assert card.index(f"- {SHOES}: ") < card.index("- 식품>차: ")
    assert "unknown label" in (tmp_path / "3.rejects.csv").read_text()
    products = [Product("t", "스키니 티", "PC > 팬츠"), Product("s", "데님 노트북 청바지", "패션 > 슈즈")]
    found = predictions(Predictor.open(out, "openvino"), products)
    assert [one.categories[0].category for one in found] == ["식품>차", SHOES]


OLD = next(iter(TOY_SHOP))


@pytest.mark.parametrize(
    ("categories", "error", "text"),
    [
        (
            [OLD] * 4,
            TaxonomyError,
            f"expected new categories only, found '{OLD}', which the bundle has; leave its 4 rows",
        ),
        (
            [f"{OLD}>반팔"],
            TaxonomyError,
            f"'{OLD}>반팔' lies below '{OLD}', which is itself a leaf; put the new category",
        ),
        (["의류"], TaxonomyError, "expected leaves, found '의류', which has categories below it, such as '의류>"),
        (["식품", "식품>차"], TaxonomyError, "'식품>차' lies below '식품', which is itself a leaf"),
        ([""], CatalogError, "expected rows with a new category each, found none; fill in the category column"),
        ([COFFEE] * 2, CatalogError, f"expected 3 or more usable products of '{COFFEE}', found 2; add some"),
    ],
)
def test_what_cannot_be_added(
    job: AddCategoryJob, tmp_path: Path, categories: list[str], error: type[Exception], text: str
) -> None:
    rows = [
        {"product_id": str(i), "product_name": "커피", "category": category} for i, category in enumerate(categories)
    ]
    wrong = replace(
        job, catalog=write_catalog(tmp_path / "new.csv", rows), out=tmp_path / "out", rejects=tmp_path / "rejects.csv"
    )
    with pytest.raises(error, match=text):
        add_category(wrong)
    assert not wrong.out.exists()


def shop_tree(folder: Path) -> Path:
    path = folder / "taxonomy.csv"
    path.write_text(f"category_id,category\n7,식품\n71,{COFFEE}\n1,의류\n11,{OLD}\n12,{SHOES}\n", encoding="utf-8")
    return path


def test_ids_come_from_the_shops_tree(tmp_path: Path) -> None:
    tree, old = read_taxonomy(shop_tree(tmp_path)), Taxonomy(TOY_SHOP, {"의류": "1"})
    rows = [{"product_id": "1", "product_name": "a", "category": "71"}, {"product_id": "2", "category": SHOES}]
    new_leaves = read_new_leaves(write_catalog(tmp_path / "new.csv", rows), ReadOptions(), old, tree)
    assert new_leaves == (COFFEE, SHOES)
    wider = extended(old, new_leaves, tree)
    assert wider.category_ids == {"의류": "1", "식품": "7", COFFEE: "71", SHOES: "12"}
    assert [wider.class_of(leaf) for leaf in new_leaves] == [3, 4]


def test_another_spelling_of_an_old_category_is_not_new(tmp_path: Path) -> None:
    labels = [unicodedata.normalize("NFD", OLD), unicodedata.normalize("NFD", SHOES), SHOES]
    rows = [{"product_id": str(i), "product_name": "a", "category": label} for i, label in enumerate(labels)]
    with pytest.raises(TaxonomyError, match=f"expected new categories only, found '{OLD}'"):
        read_new_leaves(write_catalog(tmp_path / "old.csv", rows), ReadOptions(), Taxonomy(TOY_SHOP))
    assert read_new_leaves(write_catalog(tmp_path / "new.csv", rows[1:]), ReadOptions(), Taxonomy(TOY_SHOP)) == (SHOES,)


@pytest.mark.parametrize(
    ("category", "text"),
    [
        ("11", f"expected new categories only, found '{OLD}'"),
        ("1", "expected leaves, found '의류'"),
        ("식품>커피콩", "expected leaves of the taxonomy, found '식품>커피콩'; did you mean '식품>커피'"),
    ],
)
def test_labels_that_do_not_fit_the_shops_tree(tmp_path: Path, category: str, text: str) -> None:
    catalog = write_catalog(tmp_path / "new.csv", [{"product_id": "1", "product_name": "a", "category": category}])
    with pytest.raises(TaxonomyError, match=text):
        read_new_leaves(catalog, ReadOptions(), Taxonomy(TOY_SHOP), read_taxonomy(shop_tree(tmp_path)))


def test_a_validation_catalog_without_old_rows(job: AddCategoryJob, tmp_path: Path) -> None:
    wrong = replace(job, val=job.catalog, out=tmp_path / "out", rejects=tmp_path / "rejects.csv")
    with pytest.raises(CatalogError, match=r"products of the old categories, found none; see .*rejects.csv"):
        add_category(wrong)


def test_the_bundle_itself_is_no_target(job: AddCategoryJob) -> None:
    with pytest.raises(BundleError, match="expected another folder than the bundle's own"):
        add_category(replace(job, out=job.bundle))
