"""Sections of the report about a run's photos and origin, and several runs side by side."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import axe_violations, browser_page, overflow
from finished_run import finish_run
from PIL import Image

from maskcls import files
from maskcls.labels import LabelSpace, Task
from maskcls.rundir import PretrainedTrunk, RunDir
from maskcls.runs.environment import GatheredRun, Gathering, read_environment, write_environment
from maskcls.runs.records.notes import Note, add_note
from maskcls.runs.records.pretrained_file import KIND, PretrainedFile
from maskcls.runs.records.times import CommandTimes, add_times
from maskcls.runs.reported.paired_runs import pair_runs
from maskcls.runs.reported.reported_run import ReportedRun, read_reported_run
from maskcls.show.report import page as page_module
from maskcls.show.report.mistakes import mistakes_section, photos_to_explain
from maskcls.show.report.network_input import network_input_section
from maskcls.show.report.page import report_files
from maskcls.show.report.provenance.configuration import configuration_section
from maskcls.show.report.provenance.environment import environment_section
from maskcls.show.report.provenance.lineage import lineage_section
from maskcls.show.report.provenance.seconds import seconds_section
from maskcls.show.report.section import PageSettings
from maskcls.show.report.sections import OF_EACH
from maskcls.show.report.side_by_side import mean_curve, side_by_side_section

ONE_TASK = LabelSpace((Task("animal", ("cat", "dog")),))


@pytest.fixture
def settings(tmp_path: Path) -> PageSettings:
    return PageSettings(tmp_path / "page.html")


def change_environment(run: RunDir, **changes: object) -> ReportedRun:
    write_environment(run, read_environment(run).model_copy(update=changes))
    return read_reported_run(run)


def draw_photos(run: RunDir, root: Path) -> ReportedRun:
    """Give the run photos on disk: a folder that is read as a contest's training photos."""
    reported = change_environment(run, data=str(root))
    assert reported.rows is not None
    for path in reported.rows.paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), "red").save(root / path)
    return reported


# --- mistakes


def test_lists_per_task_hold_no_photo_twice_and_no_right_one(tmp_path: Path, settings: PageSettings) -> None:
    reported = read_reported_run(finish_run(tmp_path / "a"))
    values = mistakes_section(reported, settings)
    assert values is not None
    assert reported.rows is not None
    labelled = reported.rows.labelled
    wrong = int((labelled.space.encode(labelled.truth) != labelled.pred_N).sum())
    assert values["groups"][0]["title"] == f"joint classes: {wrong} of 72 photos wrong"
    assert [len(one["lists"]) for one in values["groups"]] == [2, 2, 1, 2]  # two genders have one list
    for group in values["groups"]:
        cards = [card for one in group["lists"] for card in one["cards"]]
        assert len({card.mistake.row for card in cards}) == len(cards) > 0
        assert all(card.mistake.true != card.mistake.predicted for card in cards)
        assert all(card.photo.data is None for card in cards)
    assert len(list(photos_to_explain(reported.rows))) == sum(
        len(one["cards"]) for group in values["groups"][1:] for one in group["lists"]
    )
    assert values["people"].head[:3] == ["person", "photos", "wrong"]


def test_one_task_has_no_joint_list(tmp_path: Path, settings: PageSettings) -> None:
    values = mistakes_section(read_reported_run(finish_run(tmp_path / "a", ONE_TASK)), settings)
    assert values is not None
    assert [one["title"].partition(":")[0] for one in values["groups"]] == ["animal"]
    assert "wrong in animal" not in values["people"].head


def test_photos_are_embedded_only_when_asked_and_a_lost_one_is_a_link(tmp_path: Path) -> None:
    reported = draw_photos(finish_run(tmp_path / "a"), tmp_path / "faces")
    assert reported.rows is not None
    settings = PageSettings(tmp_path / "page.html", with_photos=True)
    values = mistakes_section(reported, settings)
    assert values is not None
    first = values["groups"][0]["lists"][0]["cards"][0]
    assert first.photo.data.startswith("data:image/jpeg")
    (tmp_path / "faces" / reported.rows.paths[first.mistake.row]).unlink()
    values = mistakes_section(reported, settings)
    assert values is not None
    lost = values["groups"][0]["lists"][0]["cards"][0]
    assert lost.photo.data is None
    assert "cannot be read" in lost.photo.name


def test_maps_are_shown_beside_their_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "OF_EACH", tuple(one for one in OF_EACH if one.id == "mistakes"))
    reported = draw_photos(finish_run(tmp_path / "a"), tmp_path / "faces")
    assert reported.rows is not None
    task, photo = next(iter(photos_to_explain(reported.rows)))
    cams = {(reported.run.path, task, photo.row): {"map of <x>": "data:image/png;base64,AAAA"}}
    page = tmp_path / "page.html"
    html = report_files([reported], page, with_photos=True, cams=cams)[1].decode()
    assert html.count('alt="map of &lt;x&gt;"') == 1


# --- what entered the networks


def test_photos_and_people_per_fold(tmp_path: Path, settings: PageSettings) -> None:
    values = network_input_section(read_reported_run(finish_run(tmp_path / "a", trained=(1,))), settings)
    assert [list(row) for row in values["folds"].rows] == [["fold 1", "36", "36", "12"]]
    assert values["pictures"] == []
    assert ["transforms.hflip", "0.5"] in [list(row) for row in values["settings"].rows]


def test_first_images_are_links_or_embedded(tmp_path: Path, settings: PageSettings) -> None:
    run = finish_run(tmp_path / "a")
    Image.new("RGB", (30, 20), "blue").save(run.fold(0).first_batch)
    run.fold(1).first_batch.write_bytes(b"no picture")
    reported = read_reported_run(run)
    links = network_input_section(reported, settings)["pictures"]
    assert [(one.name, one.data) for one in links] == [
        ("First images of fold 0", None),
        ("First images of fold 1", None),
    ]
    assert (settings.page.parent / links[0].href).is_file()
    embedded = network_input_section(reported, replace(settings, with_photos=True))["pictures"]
    assert embedded[1].data is None
    with Image.open(io.BytesIO(base64.b64decode(embedded[0].data.partition(",")[2]))) as image:
        assert image.size == (30, 20)


# --- configuration, environment, lineage


def test_settings_that_differ_come_first_with_their_origin(tmp_path: Path, settings: PageSettings) -> None:
    run = finish_run(tmp_path / "a", settings=("optim.lr=0.5",))
    values = configuration_section(change_environment(run, origins={"optim.lr": "command line"}), settings)
    rows = {row[0]: list(row) for row in values["changed"].rows}
    assert rows["optim.lr"] == ["optim.lr", "0.5", "0.0003", "command line"]
    assert rows["folds.k"] == ["folds.k", "2", "5", "resolved by maskcls"]  # not in the origins
    assert ["seed", "0", "default"] in [list(row) for row in values["rest"].rows]
    assert values["recorded"]
    assert len(values["changed"].rows) + len(values["rest"].rows) == int(values["line"].split(" of ")[1].split()[0])


def test_a_setting_that_was_given_its_default_keeps_its_origin(tmp_path: Path, settings: PageSettings) -> None:
    run = finish_run(tmp_path / "a")
    values = configuration_section(change_environment(run, origins={"seed": "mine.yaml"}), settings)
    assert ["seed", "0", "mine.yaml"] in [list(row) for row in values["rest"].rows]


def test_an_earlier_run_says_that_origins_are_not_recorded(tmp_path: Path, settings: PageSettings) -> None:
    values = configuration_section(read_reported_run(finish_run(tmp_path / "a")), settings)
    assert not values["recorded"]
    assert {row[3] for row in values["changed"].rows} == {"not recorded"}


def test_versions_are_those_of_env_json(tmp_path: Path, settings: PageSettings) -> None:
    run = finish_run(tmp_path / "a")
    values = environment_section(change_environment(run, python="3.99", plans=None), settings)
    assert ["Python", "3.99"] in [list(row) for row in values["machine"].rows]
    assert values["plans"] is None


def test_where_the_folds_were_gathered_from_is_in_the_table_of_the_machine(
    tmp_path: Path, settings: PageSettings
) -> None:
    run = finish_run(tmp_path / "run")
    rows = [list(row) for row in environment_section(read_reported_run(run), settings)["machine"].rows]
    assert not [row for row in rows if "gathered" in row[0]]
    env = read_environment(run)
    parts = tuple(GatheredRun(run=f"/disk/{name}", folds=(k,), machine=env.machine) for k, name in enumerate("ab"))
    for accepted, said in (((), "the same code"), (("torch 1 and 2 in a and b",), "torch 1 and 2 in a and b")):
        reported = change_environment(run, gathered=Gathering(runs=parts, accepted=accepted))
        rows = [list(row) for row in environment_section(reported, settings)["machine"].rows]
        assert ["gathered from", "folds 0 of a; folds 1 of b"] in rows
        assert rows[-1][0] == "gathered folds"
        assert rows[-1][1].startswith(said)


def test_lineage_names_data_weights_networks_and_notes(tmp_path: Path, settings: PageSettings) -> None:
    run = finish_run(tmp_path / "a", settings=("model.weights=w.safetensors",))
    add_note(run, Note(date="2026-01-02", text="hello", leaderboard={"public": 0.5}))
    values = lineage_section(change_environment(run, data="/photos", weights={"": "ab" * 32}), settings)
    lines = {row[0]: list(row[1:]) for row in values["made_from"].rows}
    assert lines["data"] == ["/photos", ""]
    assert lines["starting weights"] == ["w.safetensors", "abababababababab…"]
    assert lines["folds"][1] == read_environment(run).hashes["folds.csv"][:16] + "…"
    assert [list(row) for row in values["networks"].rows] == [[f"fold {k}", "0" * 16 + "…"] for k in (0, 1)]
    assert [list(row) for row in values["notes"].rows] == [["2026-01-02", "hello; public 0.5000"]]


def test_lineage_names_whose_photos_a_trunk_was_pretrained_on(tmp_path: Path, settings: PageSettings) -> None:
    trunk = PretrainedTrunk(tmp_path / "t.safetensors")
    files.commit(trunk.path, b"tensors")
    about = PretrainedFile(
        **{"kind": KIND, "file": "t.safetensors", "sha256": files.sha256(b"tensors"), "maskcls": "0", "backbone": "b"},
        **{"size": (32, 32), "people": ("p1", "p2"), "eval_photos": 21, "labelled_people": (), "without_fold": 1},
        **{"start": "random", "photos_sha256": "", "photos": 35, "epochs": 1, "batch": 8, "lr": 0.1, "seed": 0},
        **{"loss": (-0.5,), "spread": (0.9,), "collapsed": False},
    )
    files.commit(trunk.about, files.json_bytes(files.with_digest(about.to_json())))
    reported = read_reported_run(finish_run(tmp_path / "a", settings=(f"model.weights={trunk.path}",)))

    def told() -> dict[str, str]:
        return {row[0]: row[1] for row in lineage_section(reported, settings)["made_from"].rows}

    seen = "photos of 2 people, and 21 to predict, without those of fold 1"
    assert told()["pretrained without labels on"] == seen
    files.commit(trunk.path, b"other tensors")
    assert "pretrained without labels on" not in told()
    files.commit(trunk.path, b"tensors")
    changed = trunk.about.read_bytes().replace(b'"p2"', b'"p3"')
    files.commit(trunk.about, changed)
    assert "cannot be read" in told()["record of their pretraining"]


# --- time


def test_time_goes_to_parts_epochs_and_the_rest(tmp_path: Path, settings: PageSettings) -> None:
    run = finish_run(tmp_path / "a")  # two folds of three epochs of 2 s
    add_times(run, None, CommandTimes(command="train", seconds={"reading the data": 3.0, "networks": 17.0}))
    values = seconds_section(read_reported_run(run), settings)
    assert [list(row) for row in values["figures"][0].table.rows] == [
        ["reading the data", "3.0", "15.0 %"],
        ["epochs of all networks", "12.0", "60.0 %"],
        ["loading, saving, choice of epochs and out-of-fold prediction", "5.0", "25.0 %"],
    ]
    assert values["line"] == "20 s in all, 12 s of it in epochs."
    assert [list(row) for row in values["networks"].rows] == [[f"fold {k}", "3", "6.0", "2.0", "50"] for k in (0, 1)]


def test_an_interrupted_command_has_no_rest(tmp_path: Path, settings: PageSettings) -> None:
    run = finish_run(tmp_path / "a")
    first = CommandTimes(command="train", seconds={"reading the data": 3.0})
    add_times(run, None, first)
    before = read_reported_run(run)
    rows = seconds_section(before, settings)["figures"][0].table.rows
    assert [row[0] for row in rows] == ["reading the data", "epochs of all networks"]


def test_an_earlier_run_has_the_seconds_of_its_epochs(tmp_path: Path, settings: PageSettings) -> None:
    values = seconds_section(read_reported_run(finish_run(tmp_path / "a")), settings)
    assert "not recorded" in values["line"]
    assert [list(row) for row in values["figures"][0].table.rows] == [["epochs of all networks", "12.0", "100.0 %"]]


# --- several runs


def two_runs(tmp_path: Path) -> list[ReportedRun]:
    """Return two runs of the same rows: the second has wrong answers in all rows that the first has right."""
    first = finish_run(tmp_path / "a", seed=0)
    second = finish_run(tmp_path / "b", seed=0, settings=("optim.lr=0.5",))
    one = read_reported_run(second)
    assert one.rows is not None
    prob_NJ = np.roll(one.rows.labelled.prob_NJ, 1, axis=1)
    assert prob_NJ is not None
    from maskcls.results.predictions import Predictions

    Predictions(one.rows.labelled.ids, prob_NJ, one.rows.labelled.space).save(second.oof)  # type: ignore[arg-type]
    return [read_reported_run(run) for run in (first, second)]


def test_runs_side_by_side(tmp_path: Path, settings: PageSettings) -> None:
    runs = two_runs(tmp_path)
    paired = pair_runs(runs)
    assert paired.found is not None
    values = side_by_side_section(runs, replace(settings, paired=paired))
    assert values is not None
    assert [row[0] for row in values["scores"].rows] == ["a", "b"]
    (row,) = values["differences"].rows
    a, b = (one.rows.evaluation.scores.macro_f1 for one in runs if one.rows)
    assert float(row[1]) == pytest.approx(b - a, abs=5e-5)
    assert float(row[2]) < float(row[1]) < float(row[3]) < 0
    assert [list(one) for one in values["settings"].rows] == [["optim.lr", "0.0003", "0.5"]]
    assert side_by_side_section(runs[:1], settings) is None


def test_a_comparison_on_the_page_is_registered(tmp_path: Path) -> None:
    runs = two_runs(tmp_path)
    pair_runs(runs)
    found = json.loads(runs[0].run.choices.read_text())
    assert [one["name"] for one in found["attempts"] if one["kind"] == "comparison"] == ["a b"]


def test_mean_curves_are_over_the_folds(tmp_path: Path) -> None:
    run = finish_run(tmp_path / "a")
    lines = run.fold(1).log.read_text().splitlines()
    changed = json.loads(lines[0]) | {"val/macro_f1": 0.8}
    run.fold(1).log.write_text(json.dumps(changed) + "\n")  # stopped after one epoch
    assert mean_curve(read_reported_run(run), "val/macro_f1") == [
        (1, pytest.approx((0.4 + 0.8) / 2)),
        (2, pytest.approx(0.5)),
        (3, pytest.approx(0.6)),
    ]


@pytest.mark.parametrize(("given", "why"), [({"leaky": True}, "leaky"), ({"people": 30}, "different rows")])
def test_runs_that_cannot_be_paired_say_why(
    given: dict[str, Any], why: str, tmp_path: Path, settings: PageSettings
) -> None:
    runs = [read_reported_run(finish_run(tmp_path / "a")), read_reported_run(finish_run(tmp_path / "b", **given))]
    values = side_by_side_section(runs, replace(settings, paired=pair_runs(runs)))
    assert values is not None
    assert why in values["lines"][0]
    assert values["differences"] is None


def test_no_violation_on_a_page_of_two_runs_with_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = ("mistakes", "network-input", "seconds")  # the others are tables, as here
    short = tuple(one for one in OF_EACH if one.id in shown)
    assert len(short) == len(shown)
    monkeypatch.setattr(page_module, "OF_EACH", short)
    runs = two_runs(tmp_path)
    runs[0] = draw_photos(runs[0].run, tmp_path / "faces")
    page_file = tmp_path / "page.html"
    page_file.write_bytes(report_files(runs, page_file, with_photos=True, paired=pair_runs(runs))[1])
    with browser_page(390) as page:
        page.goto(page_file.as_uri())
        for details in page.query_selector_all("details"):
            details.evaluate("one => { one.open = true; }")
        assert axe_violations(page) == []
        assert overflow(page) == 0
