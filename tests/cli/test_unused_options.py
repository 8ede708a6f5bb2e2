"""An option that would change nothing is refused, with one message that says what to leave out."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_run import make_run, predictions_for

from maskcls.cli import run_app
from maskcls.errors import Exit
from maskcls.results.csv_with_origin import write_csv
from maskcls.results.people.group_file import GROUPS

# The words of a command, and what its message says. RUN is a run of DATA.
COMMANDS = {
    "a folder compared with a run": ("verify RUN --run RUN", "only a submission is compared with --run"),
    "a folder compared with data": ("verify RUN --data DATA", "only a submission is compared with --data"),
    "the cache": ("verify cache --run RUN --data DATA", "leave out --run and --data"),
    "predictions": ("verify p.npz --data DATA", "got: predictions"),
    "a table of another kind": ("verify groups.csv --run RUN", "a table of another kind"),
    "a time limit without a training": ("debug DATA --quick --minutes 2", "leave out --minutes or --quick"),
    "a time limit of other checks": ("debug DATA --check inputs --minutes 2", "none of these checks trains"),
    "a time limit of a run": ("debug RUN --minutes 2", "a run has its own settings"),
    "pairs of no training": ("data labels RUN --seeds 3", "--seeds and --run are for --prove"),
    "a folder of no training": ("data labels RUN --run other", "--seeds and --run are for --prove"),
    "a list that is not printed": ("data labels RUN --prove --top 3", "--prove lists no labels"),
    "proposals beside given ones": ("data labels RUN --prove --fixes f.csv --least 0.9", "no correction to propose"),
    "the format of no table": ("predict RUN 0.jpg --format csv", "--format is that of a table"),
    "photos of no page": ("synth page s.csv --run RUN --with-photos", "--with-photos"),
    "pictures of no page": ("synth page s.csv --run RUN --generators g", "pictures are on the page alone"),
    "photos that a card does not show": ("export RUN --to model-card --data DATA", "reads no photos of the run"),
    "photos that are not compared": ("export RUN --check 0 --data DATA", "got: --check 0"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_it_is_refused_before_anything_is_done(
    name: str, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "run", drawn)
    predictions_for(2).save(Path("p.npz"))
    write_csv(Path("groups.csv"), {"id": ["a"], "group": ["0"]}, GROUPS, {}, force=False)
    before = sorted(tmp_path.rglob("*"))
    words, said = COMMANDS[name]
    places = {"RUN": "run", "DATA": str(drawn)}
    assert run_app([places.get(word, word) for word in words.split()]) == Exit.USAGE
    captured = capsys.readouterr()
    assert said in " ".join(captured.err.split())
    assert not captured.out
    assert sorted(tmp_path.rglob("*")) == before
