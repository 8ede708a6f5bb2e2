"""Every verb prints JSON on request: one object on stdout, on one line, with a version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_run import make_run
from test_cli import SURFACE
from tiny import recipe, train

from maskcls.cli import run_app
from maskcls.errors import Exit
from maskcls.show.terminal.json_output import VERSION, print_json

FAST = ("model.backbone=test_convnext", "train.epochs=1")
# Verb -> its words, and the keys that must be there. {out}: a new folder; {run}: a trained run; {data}: drawn faces.
CALLS: dict[str, tuple[str, set[str]]] = {
    "train": ("{data} --run {out}/run --folds 0", {"run", "summary", "report", "next"}),
    "resume": ("{run}", {"run", "summary", "report", "next"}),
    "predict": ("{run} --data {data} -o {out}/s.csv", {"file", "sha256", "rows", "provenance"}),
    "pseudo-label": (
        "{run} --data {data} -o {out}/p.csv --min-confidence 0 --agree 0",
        {"file", "sha256", "photos", "sets", "lines"},
    ),
    "synth judge": (
        "{data} smote --fit heads --run {out}/arms",
        {"recommended", "screening", "level", "tables_tried", "arms", "tables", "rare", "written"},
    ),
    "synth sample": (
        "{run} -o {out}/samples.csv synth.kind=oversample",
        {"file", "sha256", "kind", "sets", "counts"},
    ),
    "self-train": (
        "{data} --run {out}/self --rounds 1 --min-confidence 0 --agree 0",
        {"best", "rounds", "report", "next"},
    ),
    "tune": (
        "{data} --study {out}/study --trials 1",
        {"sampler", "trials", "best", "score", "kept", "study", "config", "report"},
    ),
    "explain": ("{run} {photo} -o {out}/a.png", {"run", "file", "views", "photos"}),
    "export": (
        "{run} -o {out}/m.onnx --check 2",
        {"file", "size_bytes", "sha256", "networks", "views", "rule", "parity", "int8", "card"},
    ),
    "pretrain": (
        "{data} -o {out}/t.safetensors --epochs 1 --minutes 0",
        {"trunk", "step", "steps", "about"},
    ),
    "tta": ("{run}", {"none", "tried", "chosen", "honest", "pays", "rows", "people"}),
    "evaluate": ("{run}", {"macro_f1", "tasks", "rows"}),
    "report": ("{run} -o {out}/r.html", {"page", "size_bytes", "png", "runs"}),
    "calibrate": ("{run}", {"temperatures", "rows", "people"}),
    "ensemble": ("{run} --data {data} -o {out}/s.csv", {"file", "rows", "recipe", "method", "members", "nested"}),
    "runs list": ("{runs}", {"base", "runs"}),
    "runs note": ("{other} hello", {"run", "note"}),
    "runs compare": ("{run} {other}", {"a", "b", "rows", "agreement", "changed"}),
    "runs gather": (
        "{fold0} {fold1} -o {out}/gathered",
        {"run", "gathered", "missing", "accepted", "left", "summary", "report", "next"},
    ),
    "runs jobs": ("{run}", {"path", "engine", "watched", "jobs", "cancelled", "ended", "again"}),
    "runs prune": ("{runs} --keep 1", {"deleted", "freed", "left", "budget", "parts", "kept"}),
    "unseal": ("{sealed}", {"run", "now", "runs", "kept", "scores", "interval", "people", "rows", "out_of_fold"}),
    "debug": ("{data} --check inputs", {"ok", "networks"}),
    "verify": ("{run}", {"path", "kind", "ok", "checks"}),
    "group": ("{data}", {"file", "photos", "groups", "held_out", "worth"}),
    "synth page": ("{samples} --run {run}", {"file", "page", "kind", "network", "sets"}),
    "synth train": (
        "{run} --kind dcgan --run {out}/g --force --folds 0 synth.size=[16,16] synth.width=4 synth.steps=1",
        {"folder", "kind", "finished", "generators"},
    ),
    "synth resume": ("{generators}", {"folder", "kind", "finished", "generators"}),
    "submission check": ("{submission} --data {data}", {"file", "ok", "checks"}),
    "demo": ("{out}", {"run", "submission", "scores", "seconds", "chance"}),
    "config list": ("optim", {"options"}),
    "config show": ("", {"config", "origins"}),
    "data make": ("{out}/faces --people 1 --eval-people 1", {"folder", "parts"}),
    "data init": ("{data} -o {out}/m.yaml", {"file", "next", "photos", "groups", "settings", "tasks", "recipe"}),
    "data check": ("{few}", {"parts", "classes", "same_photos", "findings", "near_duplicates", "shift", "worst"}),
    "data look": ("{data} -o {out}/a.png --photos 1 --draws 0", {"path", "data", "photos", "epochs", "views"}),
    "data labels": ("{run} --top 2", {"labels", "people", "photos", "runs", "least", "cases", "fixes", "page"}),
    "data crop": ("{data} -o {out}/cropped --like {like}", {"folder", "photos", "train", "counts", "window", "held"}),
    "bench data": ("{data}", {"photos", "microseconds"}),
    "bench lr": ("{data} --steps 20 --high 10", {"networks"}),
    "bench step": ("", {"plan", "largest_batch", "train", "infer"}),
    "data cache list": ("", {"folder", "packs"}),
    "data cache prune": ("", {"deleted", "freed", "left", "parts"}),
}
WITHOUT = {
    "config schema": "prints a JSON schema, whose form is defined elsewhere",
    "serve": "prints nothing; it answers with JSON",
}
SLOW = {"demo", "self-train", "export"}  # run with the slow tests: a whole demo, three trainings, an export to ONNX
NONE_RECOMMENDED = {"synth judge": Exit.RESULT}
CONFIGURED = {
    "train",
    "pretrain",
    "self-train",
    "tune",
    "debug",
    "data check",
    "data look",
    "bench data",
    "bench lr",
    "bench step",
    "config show",
    "synth judge",
}


# The verbs that compute with networks of runs say which packages have other versions than at the training.
OF_ONE_RUN = {"predict", "resume", "explain", "export", "tta", "unseal"}
OF_SEVERAL = {"pseudo-label", "ensemble"}  # by run folder
WITH_A_RUN = {"report": "with --cam", "debug": "of a run", "data check": "with --run"}  # not in the calls above
OTHER = {"pillow": ["9.0", "11.0"]}


@pytest.fixture(autouse=True)
def other_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskcls.runs.records.versions.other_versions", lambda run: OTHER)


@pytest.fixture(autouse=True)
def fewer_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `data check` make and compare fewer copies; tests/commands/test_data_check.py tests what it finds."""
    monkeypatch.setattr("maskcls.training.data_check.duplicates.MADE_FROM", 4)
    monkeypatch.setattr("maskcls.data.duplicates.candidates.NEAREST", 2)


@pytest.fixture(scope="module")
def places(drawn: Path, few: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return paths for the calls; a run that was trained among them."""
    root = tmp_path_factory.mktemp("json")
    run = root / "runs" / "a"
    assert train(drawn, run, *FAST) == 0
    like, submission = root / "crops.json", root / "s.csv"
    window = {"x": 0.5, "y": 0.4, "width": 0.4, "height": 0.4, "spread": [0.1, 0.1, 0.1, 0.1], "faces": 3}
    like.write_text(json.dumps({"margin": 0.3, "aspect": [4, 3], "window": window}))
    assert run_app(["predict", str(run), "--data", str(drawn), "-o", str(submission)]) == 0
    assert train(drawn, root / "b" / "sealed", *FAST, "folds.sealed=0.25") == 0
    small = ["synth.size=[16,16]", "synth.width=4", "synth.steps=1"]
    words = [str(run), "--kind", "dcgan", "--run", str(root / "g"), "--force", "--folds", "0", *small]
    assert run_app(["synth", "train", *words]) == 0
    samples = ["-o", str(root / "samples.csv"), "synth.kind=oversample"]
    assert run_app(["synth", "sample", str(run), *samples]) == 0
    other = make_run(root / "runs" / "other", drawn)
    named = {"run": run, "runs": root / "runs", "other": other.path, "data": drawn, "few": few, "like": like}
    for k in (0, 1):
        named[f"fold{k}"] = root / f"fold{k}"
        assert train(drawn, named[f"fold{k}"], *FAST, "--folds", str(k)) == 0
    photo = next((drawn / "eval" / "images").iterdir())
    named |= {
        "sealed": root / "b" / "sealed",
        "photo": photo,
        "generators": root / "g",
        "samples": root / "samples.csv",
    }
    return {name: str(path) for name, path in (named | {"submission": submission}).items()}


def test_every_verb_can_print_json() -> None:
    assert CALLS.keys() == SURFACE.keys() - WITHOUT.keys()
    assert len(CALLS) == 44
    assert {verb for verb, options in SURFACE.items() if "--json" not in options} == WITHOUT.keys()


@pytest.mark.parametrize("verb", [pytest.param(v, marks=pytest.mark.slow if v in SLOW else ()) for v in CALLS])
def test_the_output_is_one_object_with_a_version(
    verb: str, places: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, keys = CALLS[verb]
    given = [*verb.split(), *words.format(out=tmp_path, **places).split(), "--json"]
    given += recipe(*FAST) if verb in CONFIGURED else []
    assert run_app(given) == NONE_RECOMMENDED.get(verb, Exit.OK)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    found = strict(out)
    assert next(iter(found)) == "version"
    assert found["version"] == VERSION
    expected: dict[str, Any] = dict.fromkeys(OF_ONE_RUN, OTHER) | {name: {} for name in WITH_A_RUN}
    expected |= {name: {places["run"]: OTHER} for name in OF_SEVERAL}
    assert found.get("other_versions") == expected.get(verb)
    assert keys <= found.keys()


def test_a_run_that_is_only_sometimes_used_is_compared_then(
    places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    monkeypatch.setattr("maskcls.commands.report.report", lambda *_, **__: None)
    monkeypatch.setattr("maskcls.commands.debug.debug_run", lambda *_: None)
    finding = type("Found", (), {"exit_code": lambda self, level: Exit.OK})()
    monkeypatch.setattr("maskcls.commands.data.check.check", lambda *_, **__: finding)
    monkeypatch.setattr("maskcls.show.debug.failures", lambda found: [])
    for name in ("runs.report.print_report", "debug.print_diagnoses", "data.check.print_data_check"):
        monkeypatch.setattr(f"maskcls.show.{name}", lambda *_, versions, json: seen.append(versions))
    run = places["run"]
    for words in (
        ["report", run, "--with-photos", "--cam"],
        ["debug", run],
        ["data", "check", places["data"], "--run", run],
    ):
        assert run_app(words) == Exit.OK
    assert seen == [{run: OTHER}, OTHER, OTHER]


def strict(text: str) -> dict[str, Any]:
    """Read JSON as the standard has it, which knows no NaN."""

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found


def test_nan_is_null_and_text_is_not_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [float("nan"), 1.0, {"b": (float("nan"),)}], "name": "가장 좋음"})
    assert capsys.readouterr().out == '{"version": 1, "a": [null, 1.0, {"b": [null]}], "name": "가장 좋음"}\n'


def test_infinity_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        print_json({"a": float("inf")})
