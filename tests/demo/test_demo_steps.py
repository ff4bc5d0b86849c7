import io
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import NoReturn

import pytest
from rich.console import Console

from aisle_client.prediction import Prediction, ScoredCategory
from demo.answers import COMBINATIONS, AnsweredProduct, accuracy, keep_fields
from demo.child import Child, DemoError
from demo.steps import CONFIG
from demo.tables import accuracy_table, answers_table, choose_examples, contract_sentence
from model.product import FIELDS, Product
from model.settings import load_settings

ROOT = Path(__file__).parents[2]
PRODUCT = Product("D1", "[무료배송] 머그컵", "주방 > 컵", "키친온", "(주)키친온", "도자기 머그", b"jpeg")


def answered(category: str, truth: str, needs_review: bool = False, accepted: str | None = None) -> AnsweredProduct:
    best = ScoredCategory(category, "", 0.75)
    node = None if accepted is None else ScoredCategory(accepted, "", 0.9)
    return AnsweredProduct(PRODUCT, truth, Prediction("D1", (best,), node, needs_review, {}, ()))


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a module that a Child can run by name."""

    def write(source: str) -> str:
        (tmp_path / "toy_program.py").write_text(textwrap.dedent(source), encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return "toy_program"

    return write


def test_config_names_settings_that_exist():
    settings = load_settings(CONFIG)
    assert (settings.image.image_weights, settings.image.finetune_layers) == ("none", -1)


def test_keep_fields_removes_all_other_fields():
    for fields in COMBINATIONS:
        kept = keep_fields(PRODUCT, fields)
        said = {field for field in FIELDS if (kept.image if field == "image" else kept.text(field))}
        assert said == set(fields)
    assert keep_fields(PRODUCT, FIELDS) == PRODUCT


def test_accuracy_counts_the_best_leaf():
    assert accuracy([answered("A>B", "A>B"), answered("A>B", "A>C")]) == 0.5


def test_tables_show_names_with_brackets_unchanged():
    console = Console(width=150, file=io.StringIO())
    with console.capture() as capture:
        console.print(
            answers_table(
                [(answered("주방>머그컵", "주방>머그컵", needs_review=True), answered("주방>접시", "주방>머그컵"))]
            )
        )
        console.print(accuracy_table({("name",): [answered("A", "A")], FIELDS: [answered("A", "B")]}))
    for text in ("[무료배송] 머그컵", "주방>머그컵", "접시", "0.750", "needs review", "all fields", "1.000"):
        assert text in capture.get()


def test_half_of_the_shown_products_have_a_misleading_name():
    with_all_fields = [answered("A", "A") for _ in range(10)]
    by_name = [answered("A" if number < 7 else "B", "A") for number in range(10)]
    shown = choose_examples(with_all_fields, by_name, count=4)
    assert [name.is_right for _, name in shown] == [True, True, False, False]


def test_contract_sentence_counts_accepted_and_right():
    answers = [
        answered("A>B", "A>B", accepted="A>B"),
        answered("A>B", "A>C", accepted="A>B"),
        answered("A>B", "A>C", needs_review=True, accepted="A"),
        answered("A>B", "AB>C", needs_review=True, accepted="A"),
        answered("A>B", "A>B", needs_review=True),
    ]
    assert contract_sentence(answers) == (
        "4 of 5 answers are accepted, 2 down to a leaf, and 2 of the accepted are right (50.0%); 3 need review."
    )
    assert contract_sentence(answers[4:]) == "None of 1 answers is accepted without a person."


def test_a_failing_child_is_reported_with_the_end_of_its_log(program, tmp_path: Path):
    name = program("import sys; print('no port left'); sys.exit(3)")
    with Child([name], tmp_path / "log") as child, pytest.raises(DemoError) as caught:
        child.wait()
    assert str(caught.value) == (
        f"`python -m toy_program` ended with exit code 3, expected 0; the end of {tmp_path / 'log'}:\nno port left"
    )


def test_a_child_that_exits_with_0_on_sigterm_is_no_error(program, tmp_path: Path):
    name = program(
        """
        import signal, sys
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        print("ready", flush=True)
        signal.pause()
        """
    )
    with Child([name], tmp_path / "log") as child:
        wait_for_line(child, tmp_path / "log")
        child.terminate(timeout_s=60)
        assert not child.is_running


def test_a_child_that_ignores_sigterm_is_reported_and_killed(program, tmp_path: Path):
    name = program(
        """
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        signal.pause()
        """
    )
    with Child([name], tmp_path / "log") as child:
        wait_for_line(child, tmp_path / "log")
        with pytest.raises(DemoError, match=r"was still running 0.1 s after SIGTERM"):
            child.terminate(timeout_s=0.1)
        assert child.is_running
    assert not child.is_running


def test_child_does_not_outlive_an_interrupt(program, tmp_path: Path):
    child = Child([program("import signal; print('ready', flush=True); signal.pause()")], tmp_path / "log")
    with pytest.raises(KeyboardInterrupt), child:
        interrupt_when_ready(child, tmp_path / "log")
    assert not child.is_running


def test_failure_is_one_sentence_and_exit_code_1(tmp_path: Path):
    command = [sys.executable, "-m", "demo", "--dir", str(tmp_path), "--products", "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr == "error: expected at least 1000 products, found 5; give a larger --products\n"


def interrupt_when_ready(child: Child, log: Path) -> NoReturn:
    wait_for_line(child, log)
    raise KeyboardInterrupt


def wait_for_line(child: Child, log: Path) -> None:
    while child.is_running and not log.read_text(encoding="utf-8"):
        time.sleep(0.01)
