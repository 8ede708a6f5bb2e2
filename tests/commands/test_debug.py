"""maskcls debug: what it prints, its exit codes, its page, and a finished run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser import axe_violations, browser_page, overflow
from tiny import RECIPE, hashes, train

from maskcls.cli import run_app
from maskcls.errors import Exit
from maskcls.results.diagnosis.finding import CHECKS, Finding
from maskcls.results.diagnosis.learning_curve import Curve, Projection
from maskcls.results.diagnosis.scored import Diagnosis, ModelScores
from maskcls.show.debug import conclusion, print_diagnoses
from maskcls.show.debug_page import write_debug_page

CHEAP = ("--check", "inputs", "--check", "first loss")


def test_checks_that_pass_exit_with_0(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["debug", str(drawn), *CHEAP, *RECIPE]) == Exit.OK
    out = capsys.readouterr().out
    assert out.startswith("pass inputs          0.0 % of ")
    assert out.endswith("no check failed\n")
    assert "one batch" not in out


def test_a_check_that_fails_exits_with_9(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = "transforms.std=[0.004,0.004,0.004]"
    assert run_app(["debug", str(drawn), "--check", "normalisation", *RECIPE, broken]) == Exit.RESULT
    out = capsys.readouterr().out
    assert "FAIL normalisation" in out
    assert "cause           no normalisation" in out
    assert "next            transforms.mean=auto transforms.std=auto" in out
    assert out.endswith("most probable cause: no normalisation (check normalisation)\n")


def test_json_has_every_check_with_its_meaning(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["debug", str(drawn), *CHEAP, "--json", *RECIPE]) == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is True
    (network,) = found["networks"]
    assert network["cause"] is None
    assert [one["check"] for one in network["checks"]] == ["inputs", "first loss"]
    assert network["checks"][0]["meaning"] == CHECKS["inputs"].meaning
    assert network["checks"][1]["values"]["mask"] == pytest.approx(1.0986, abs=1e-4)


def test_quick_trains_nothing(drawn: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from maskcls.commands import debug as command

    asked: dict[str, Any] = {}

    def noted(*_: object, **options: Any) -> list[Diagnosis]:
        asked.update(options)
        return [Diagnosis("", ())]

    monkeypatch.setattr(command, "debug", noted)
    assert run_app(["debug", str(drawn), "--quick", *RECIPE]) == Exit.OK
    assert asked["checks"] == [name for name, one in CHECKS.items() if not one.trains]
    assert asked["minutes"] == 10
    assert run_app(["debug", str(drawn), "--minutes", "2.5", *RECIPE]) == Exit.OK
    assert asked["checks"] == list(CHECKS)
    assert asked["minutes"] == 2.5
    assert capsys.readouterr().out.count("no check failed") == 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--check", "one bach"], "did you mean 'one batch'?"),
        (["--check", "inputs", "--quick"], "--quick chooses the checks"),
    ],
)
def test_wrong_checks_are_usage_errors(
    drawn: Path, words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["debug", str(drawn), *words, *RECIPE]) == Exit.USAGE
    assert text in capsys.readouterr().err


def test_an_existing_page_is_kept(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    page.write_text("kept")
    words = ["debug", str(drawn), "--check", "inputs", "--page", str(page), *RECIPE]
    assert run_app(words) == Exit.BUSY
    assert page.read_text() == "kept"
    assert run_app([*words, "--force"]) == Exit.OK
    assert "Pass:" in page.read_text()


def test_a_finished_run_is_explained_without_training(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, "folds.sealed=0.25") == Exit.OK
    capsys.readouterr()
    before = hashes(run)
    run_app(["debug", str(run), "--json"])
    (found,) = json.loads(capsys.readouterr().out)["networks"]
    assert [one["check"] for one in found["checks"]] == ["rare classes", "errors"]
    parts = {part["name"]: part for part in found["error_parts"][0]["parts"]}
    summary = json.loads((run / "summary.json").read_text())
    assert found["error_parts"][0]["valid"] == pytest.approx(summary["pooled"]["macro_f1"])
    assert parts["shift"]["value"] is None
    assert "unseal" in parts["shift"]["note"]
    assert parts["over-fitted validation"]["value"] is not None
    assert hashes(run) == before
    assert run_app(["unseal", str(run)]) == Exit.OK
    capsys.readouterr()
    run_app(["debug", str(run), "--json"])
    (found,) = json.loads(capsys.readouterr().out)["networks"]
    sealed = json.loads((run / "unsealed.json").read_text())["scores"]["macro_f1"]
    assert found["error_parts"][0]["sealed"] == pytest.approx(sealed)
    shift = found["error_parts"][0]["parts"][3]
    assert shift["value"] == pytest.approx(summary["pooled"]["macro_f1"] - sealed)
    assert shift["low"] < shift["value"] < shift["high"]


def test_a_run_of_fitted_heads_gets_advice_for_its_heads(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, "model.train=heads") == Exit.OK
    capsys.readouterr()
    run_app(["debug", str(run), "--json"])
    (found,) = json.loads(capsys.readouterr().out)["networks"]
    rare, errors = found["checks"]
    assert errors["check"] == "errors"
    assert any("heads." in step for step in errors["next"])
    of_steps = ("optim.", "train.", "loss.", "sampler.", "mix.", "model.drop")
    assert not [step for one in (rare, errors) for step in one["next"] if any(name in step for name in of_steps)]
    parts = {part["name"]: part for part in found["error_parts"][0]["parts"]}
    assert parts["over-fitted validation"]["note"] == "fitted heads have no epochs to choose from"


def test_before_heads_are_fitted_no_steps_are_checked(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["debug", str(drawn), *RECIPE, "model.train=heads"]
    run_app([*words, "--json"])
    shown = capsys.readouterr()
    (found,) = json.loads(shown.out)["networks"]
    assert [one["check"] for one in found["checks"]] == ["inputs", "normalisation", "split", "labels"]
    said = " ".join(shown.err.split())
    assert "heads are fitted, without steps; not checked: first loss, evaluation, layers, gradient, one batch," in said
    assert "for its error and rare classes, train it, and give its run: maskcls debug RUN" in said
    run_app([*words, "--check", "inputs", "--check", "layers"])
    said = " ".join(capsys.readouterr().err.split())
    assert "not checked: layers" in said
    assert "maskcls debug RUN" not in said
    assert run_app([*words, "--check", "one batch"]) == Exit.USAGE
    said = " ".join(capsys.readouterr().err.split())
    assert "expected: inputs, normalisation, split, labels" in said


def test_a_run_takes_no_settings(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "env.json").write_text("{}")
    assert run_app(["debug", str(tmp_path), "--quick"]) == Exit.USAGE
    assert "a run has its own settings" in capsys.readouterr().err


def diagnosis() -> Diagnosis:
    twice = Projection("all", 80, 0.05, 0.01, 0.1)
    one = Projection("b <script>", 20, 0.04, 0.01, 0.06)
    curve = Curve("t", (10, 20, 40), (0.5, 0.4, 0.3), (3, 2, 1), (0, 1, 0.5), twice, (one,))
    findings = (
        Finding("inputs", "pass", "fine"),
        Finding("one batch", "fail", "loss stays", "learning rate too high", ("optim.lr=0.001",)),
        Finding("labels", "unknown", "few"),
        Finding("baselines", "fail", "worse", "under-trained", ("more train.epochs",)),
    )
    models = (ModelScores("constant", "always the most frequent class", 0.1, {"t": 0.2}),)
    return Diagnosis("", findings, models, (), (curve,), 40, 80)


def test_the_first_failure_is_the_cause_and_later_ones_may_follow(capsys: pytest.CaptureFixture[str]) -> None:
    text = conclusion(diagnosis())
    assert text == (
        "most probable cause: learning rate too high (check one batch); the failures of baselines may follow from it"
    )
    print_diagnoses([diagnosis()])
    out = capsys.readouterr().out
    assert "0.750 (0.7100 to 0.8000)" in out
    assert "on 40 of 80 training people" in out
    assert "?    labels" in out


def test_the_page_has_all_checks_and_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "debug.html"
    write_debug_page(path, [diagnosis()], "faces <b>", force=False)
    text = path.read_text()
    assert "faces &lt;b&gt;" in text
    assert "b <script>" not in text
    for width, scheme in ((390, "dark"), (1280, "light")):
        with browser_page(width, scheme=scheme) as page:
            page.goto(path.as_uri())
            assert page.locator(".checks > li").count() == 4
            assert page.locator("li.fail .verdict").all_text_contents() == ["Fail:", "Fail:"]
            assert page.locator("figure svg").count() == 1
            assert axe_violations(page) == []
            assert overflow(page) == 0
