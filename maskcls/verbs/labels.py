"""The verb `data labels`: suspected label faults, and the proof that correcting them helps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskcls.errors import UsageError
from maskcls.verbs.options import Config, Force, Json, interruptible, load_config
from maskcls.verbs.words import split_words

if TYPE_CHECKING:
    from maskcls.rundir import RunDir
    from maskcls.schema import Config as Settings


def data_labels(
    words: Annotated[
        list[str],
        typer.Argument(metavar="RUN|KEY=VALUE", help="finished runs on the same data; settings for --prove"),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="the proposed corrections to write, for data.fixes")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="the page to write, on which a person decides with keys")] = None,
    with_photos: Annotated[bool, typer.Option("--with-photos", help="put small photos into the page")] = False,
    top: Annotated[
        int | None, typer.Option(min=1, max=10_000, show_default="40", help="most suspicious labels to show")
    ] = None,
    least: Annotated[
        float | None,
        typer.Option(min=0, max=1, show_default="0.5", help="suspicion from which a correction is proposed"),
    ] = None,
    prove: Annotated[bool, typer.Option("--prove", help="train with and without corrections, and compare")] = False,
    fixes: Annotated[Path | None, typer.Option(help="corrections for --prove; default: the proposed ones")] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, max=100, show_default="2", help="pairs of trainings of --prove")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(show_default="runs/labels", help="folder of the trainings of --prove")
    ] = None,
    config: Config = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Rank labels that may be wrong, by out-of-fold rows of finished runs; write corrections, or a page to decide on.

    --prove trains with the settings of the first run, or of --config, and scores people whose labels are not corrected.

    \b
    maskcls data labels runs/a runs/b --page labels.html --with-photos
    maskcls data labels runs/a runs/b -o fixes.csv
    maskcls data labels runs/a runs/b --prove --fixes fixes.csv --seeds 2
    """
    from maskcls.config.installed_extras import LABEL_FAULTS, check_extra

    if not (prove and fixes):  # --prove with given corrections ranks no labels
        check_extra("report", needed_by="maskcls data labels", packages=LABEL_FAULTS)
    from maskcls.commands.data.labels import rank_labels as work
    from maskcls.rundir import RunDir
    from maskcls.show.labels.doctor import print_labels

    paths, overrides = split_words(words)
    if not paths:
        raise UsageError("no run to compare labels with", expected="RUN, one or several run folders")
    runs, suspicion = [RunDir(Path(path)) for path in paths], 0.5 if least is None else least
    if prove:
        if output or page or with_photos:
            raise UsageError("--prove writes neither corrections nor a page", fix="write them first, without --prove")
        if top is not None:
            raise UsageError("--prove lists no labels", where="--top", fix="leave it out")
        if fixes and least is not None:
            raise UsageError("--fixes leaves no correction to propose", where="--least", fix="leave out one of them")
        from maskcls.files import check_outputs
        from maskcls.runs.environment import read_environment

        folder = Path("runs/labels") if run is None else run
        check_outputs(folder, inputs=[Path(read_environment(runs[0]).data)])
        if fixes is None:
            fixes = folder / "proposed.csv"
            work(runs, top=1, least=suspicion, fixes=fixes, page=None, embed=False, force=True)
        pairs = 2 if seeds is None else seeds
        _prove(runs[0], _settings(runs[0], config, overrides), fixes, folder, seeds=pairs, json=json)
        return
    if fixes or overrides or config or seeds is not None or run is not None:
        what = "settings, --fixes, --seeds and --run are for --prove"
        raise UsageError(what, fix="add --prove, or leave them out")
    shown = 40 if top is None else top
    found = work(runs, top=shown, least=suspicion, fixes=output, page=page, embed=with_photos, force=force)
    print_labels(found, json=json)


def _settings(run: RunDir, config: list[Path] | None, overrides: list[str]) -> Settings:
    """Return the configuration of the run with overrides, or the one that --config names."""
    from maskcls.runs.environment import read_environment

    read_environment(run)  # says so if this is not a run
    return load_config(config or [run.config], overrides)[0]


def _prove(run: RunDir, cfg: Settings, fixes: Path, folder: Path, *, seeds: int, json: bool) -> None:
    from maskcls.show.labels.gain import print_gain
    from maskcls.show.terminal.progress import LOADING, Reporter

    with interruptible(lambda: "finished epochs are kept. Continue with the same command"), Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.data.labels import prove
            from maskcls.commands.resume import resume as continued
            from maskcls.commands.train import train as started
            from maskcls.runs.environment import read_environment
        data = Path(read_environment(run).data)
        found = prove(
            data,
            cfg,
            fixes,
            folder,
            seeds=seeds,
            train=lambda own, place: started(data, own, place, folds=None, report=report),
            resume=lambda place: continued(place, folds=None, report=report),
        )
    print_gain(found, json=json)
