import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from aisle_client.errors import InputError
from client.commands import ClassifyCommand, GetModelCommand, ProductTexts, classify, get_model
from model.bundle.bundle import load_bundle


def printed(run, command) -> str:
    console = Console(width=240)
    with console.capture() as capture:
        run(command, console)
    return capture.get()


def run_client(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "client", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def catalog(tmp_path: Path, toy_bundle: Path) -> Path:
    """A catalog of 600 shirts with their truth; row 2 has no field and row 3 names a missing picture."""
    leaf = load_bundle(toy_bundle).taxonomy.leaves[0]
    rows = [f"{i},red shirt,,{leaf}" for i in range(600)]
    rows[2], rows[3] = f"2,,,{leaf}", f"3,red shirt,missing.jpg,{leaf}"
    rows[4] = f"4,red shirt,page.jpg,{leaf}"
    (tmp_path / "page.jpg").write_text("<p>gone</p>")
    (tmp_path / "catalog.csv").write_text("product_id,product_name,image,category\n" + "\n".join(rows) + "\n")
    return tmp_path / "catalog.csv"


def test_one_product_is_printed(target: str):
    text = printed(classify, ClassifyCommand(target=target, texts=ProductTexts(name="red shirt", brand="acme")))
    assert "red shirt" in text
    assert "products" not in text


def test_a_catalog_is_printed_counted_and_written(target: str, catalog: Path):
    out = catalog.with_name("out.csv")
    command = ClassifyCommand(target=target, catalog=catalog, out=out, show=5, max_lost_pictures=1)
    text = printed(classify, command)
    assert "every field is empty" in text
    assert "... and 595 more" in text
    assert "600 products, accepted" in text
    assert ", 1 failed" in text
    assert "2 asked about without their picture, which cannot be read" in text
    assert "accuracy" in text
    with command.out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["product_id"] for row in rows] == [str(i) for i in range(600)]
    assert [i for i, row in enumerate(rows) if row["error"]] == [2]
    assert [i for i, row in enumerate(rows) if "expected a picture file" in row["lost_picture"]] == [3]
    assert "expected a JPEG" in rows[4]["lost_picture"]
    assert rows[3]["category"] == rows[4]["category"] == rows[5]["category"]
    with pytest.raises(InputError, match="1 of 2 pictures are lost"):
        printed(classify, replace(command, max_lost_pictures=0.4))


def test_evidence_and_mask_by_flag(target: str):
    command = ClassifyCommand(
        target=target, texts=ProductTexts(name="게이밍 laptop", brand="brand1"), mask_parent="의류>상의"
    )
    assert "evidence" not in printed(classify, command)
    text = printed(classify, replace(command, evidence=True))
    assert "의류>상의>티셔츠" in text
    assert "name: 디지털>노트북" in text  # the answer of a single head is in the whole tree
    assert "words: " in text
    assert "laptop +0.0" in text  # a single leaf has probability 1


def test_a_limit_ends_the_catalog_early(target: str, catalog: Path):
    assert "2 products, accepted" in printed(classify, ClassifyCommand(target=target, catalog=catalog, limit=2))
    with pytest.raises(InputError, match="--limit: expected 0 or more rows, found -1"):
        printed(classify, ClassifyCommand(target=target, catalog=catalog, limit=-1))


def test_an_interrupted_catalog_is_resumed(target: str, catalog: Path):
    command = ClassifyCommand(
        target=target, catalog=catalog, out=catalog.with_name("out.csv"), show=1, max_lost_pictures=1
    )
    printed(classify, command)
    whole = command.out.read_bytes()
    resumed = replace(command, resume=True)
    for cut in (len(whole) // 2, 20, 0):
        command.out.write_bytes(whole[:cut])
        text = printed(classify, resumed)
        assert ("answered already; going on behind" in text) == (cut > 100)
        assert command.out.read_bytes() == whole
    assert "0 products" in printed(classify, resumed)
    assert command.out.read_bytes() == whole


def test_only_answers_to_the_same_catalog_are_resumed(target: str, catalog: Path):
    out = catalog.with_name("out.csv")
    command = ClassifyCommand(target=target, catalog=catalog, out=out, resume=True, limit=9, max_lost_pictures=1)
    printed(classify, command)
    lines = catalog.read_text().splitlines(keepends=True)
    catalog.write_text("".join([lines[0], *lines[2:]]))
    with pytest.raises(InputError, match="expected the product '8' in row 9 of the catalog, as in --out, found the"):
        printed(classify, command)
    catalog.write_text("".join(lines[:4]))
    with pytest.raises(InputError, match="found fewer rows; leave out --resume to begin anew"):
        printed(classify, command)
    other = catalog.with_name("other.csv")
    other.write_bytes(b"a,b\r\n1,2")
    with pytest.raises(InputError, match="cannot be resumed: expected the columns product_id, category, "):
        printed(classify, replace(command, out=other))
    assert other.read_bytes() == b"a,b\r\n1,2"
    with pytest.raises(InputError, match="--resume: expected --catalog FILE and --out FILE with it"):
        printed(classify, replace(command, out=None))


@pytest.mark.parametrize(
    ("values", "found"),
    [({}, "neither"), ({"texts": ProductTexts(name="a"), "catalog": Path("a.csv")}, "both")],
    ids=["neither", "both"],
)
def test_one_product_or_a_catalog_is_required(values: dict, found: str):
    with pytest.raises(InputError, match=f"expected one product .* or --catalog FILE, found {found}"):
        printed(classify, ClassifyCommand(**values))


def test_a_missing_picture_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"no\.jpg cannot be read: No such file or directory"):
        printed(classify, ClassifyCommand(image=tmp_path / "no.jpg"))


def test_the_model_is_printed(target: str):
    text = printed(get_model, GetModelCommand(target=target))
    assert "num_leaves" in text
    assert "precision_contract" in text


def test_the_command_line_answers(target: str):
    done = run_client("classify", "--target", target, "--name", "red shirt")
    assert (done.returncode, done.stderr) == (0, "")
    assert "red shirt" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["classify", "--target", "127.0.0.1:1", "--name", "a", "--max-retries", "0"],
            1,
            "error: no answer from 127.0.0.1:1",
        ),
        (["classify", "--catalog", "no.csv"], 1, "error: no.csv cannot be read"),
        (["classify", "--nmae", "a"], 2, "Unrecognized options: --nmae"),
        (["clasify"], 2, "clasify"),
        ([], 2, "classify"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(arguments: list[str], code: int, message: str):
    done = run_client(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_client_imports_nothing_heavy():
    program = (
        "import sys, client.__main__, aisle_client.async_client\n"
        "heavy = {'tensorflow', 'keras', 'matplotlib', 'openvino', 'server', 'training', 'tokenizer.tokenizer',"
        " 'gensim'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
