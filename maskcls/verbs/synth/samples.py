"""Verbs of samples: synth sample, synth page and synth judge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from maskcls.errors import Exit, UsageError
from maskcls.verbs.help import VerbApp
from maskcls.verbs.options import (
    Config,
    Data,
    Force,
    Json,
    MovedData,
    Overrides,
    answering,
    interruptible,
    load_config_for,
)

app = VerbApp()


@app.command("sample")
def synth_sample(
    folder: Annotated[
        Path, typer.Argument(metavar="SYNTH", help="a folder that synth train made; a run with synth.kind=oversample")
    ],
    overrides: Overrides = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="the table to write")] = Path("samples.csv"),
    classifier: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="a finished run with the same folds, which finds copies and disputes labels;"
            " default: the run that the generators were made from",
            show_default=False,
            callback=answering,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="replace existing files; they are kept as .bak")] = False,
    data: MovedData = None,
    json: Json = False,
) -> None:
    """Make samples of rare classes with every fold's generator, for a training with data.synth=FILE.

    Copies of training photos, and samples that the fold's classifier takes for another class, are left out and counted.

    \b
    maskcls synth sample runs/g
    maskcls synth sample runs/g -o few.csv synth.per_class=20
    maskcls synth sample runs/g --classifier runs/b
    maskcls synth sample runs/a synth.kind=oversample -o copies.csv
    maskcls train faces --config multi --run runs/b data.synth=samples.csv
    """
    from maskcls.rundir import RunDir, SynthDir
    from maskcls.runs.generators.sampling import check_sampling, needs_classifier, sampling_settings
    from maskcls.synth.facts_file import run_of_generators

    words, run = list(overrides or []), None if classifier is None else RunDir(classifier)
    cfg = sampling_settings(SynthDir(folder), words)
    known = run_of_generators(SynthDir(folder)) if run is None and needs_classifier(cfg) else None
    run = run or known
    check_sampling(SynthDir(folder), output, run, cfg, force=force, data=data)
    from maskcls.schema.group_noun import group_noun
    from maskcls.show.synth.made_samples import print_samples
    from maskcls.show.terminal.progress import LOADING, Reporter

    with Reporter(noun=group_noun(cfg)) as report:
        if known is not None:
            report.note(f"classifier: {known.path}, the run that the generators were made from")
        with report.busy(LOADING):
            from maskcls.commands.synth.sample import sample_synth as work
        found = work(SynthDir(folder), output, classifier=run, overrides=words, force=force, report=report, data=data)
    print_samples(found, json=json)


@app.command("page")
def synth_page(
    table: Annotated[Path, typer.Argument(metavar="SAMPLES", help="a table that synth sample made")],
    run: Annotated[
        Path,
        typer.Option(
            help="a finished run with the table's folds, for its embeddings",
            callback=answering,
        ),
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="HTML page to write; default: none")] = None,
    generators: Annotated[
        Path | None, typer.Option(help="folder that synth train made, for pictures of its training; default: none")
    ] = None,
    with_photos: Annotated[
        bool, typer.Option("--with-photos", help="put photos, samples and sheets into the page")
    ] = False,
    force: Force = False,
    data: MovedData = None,
    json: Json = False,
) -> None:
    """Compare samples with training photos of the same classes. It does not say whether they help: synth judge does.

    \b
    maskcls synth page samples.csv --run runs/a
    maskcls synth page samples.csv --run runs/a -o samples.html --with-photos
    maskcls synth page samples.csv --run runs/a --generators runs/g -o s.html
    """
    from maskcls.config.installed_extras import FIGURES, check_extra
    from maskcls.rundir import RunDir, SynthDir
    from maskcls.synth.quality.page_checks import check_sample_page

    if output is not None:
        check_extra("report", needed_by="maskcls synth page -o", packages=FIGURES)
    made = None if generators is None else SynthDir(generators)
    check_sample_page(table, RunDir(run), made, output, with_photos=with_photos, force=force, data=data)
    from maskcls.show.synth.sample_report import print_sample_report
    from maskcls.show.terminal.progress import LOADING, Reporter

    with Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.synth.page import sample_page as work
        found = work(
            table,
            RunDir(run),
            generators=made,
            page=output,
            with_photos=with_photos,
            force=force,
            report=report,
            data=data,
        )
    print_sample_report(found, json=json)


@app.command("judge")
def synth_judge(
    data: Data,
    words: Annotated[
        list[str],
        typer.Argument(metavar="SAMPLES|KEY=VALUE", help="tables that synth sample wrote, or smote; settings"),
    ],
    config: Config = None,
    run: Annotated[Path, typer.Option(help="folder of all trainings")] = Path("runs/arms"),
    seeds: Annotated[int, typer.Option(min=2, max=20, help="trainings of each arm")] = 2,
    fit: Annotated[
        str, typer.Option(help="training: the verdict; heads: a screening in seconds, of heads on frozen features")
    ] = "training",
    page: Annotated[Path | None, typer.Option(help="the page to write, one HTML file")] = None,
    use: Annotated[
        Path | None, typer.Option(help="the configuration to write if samples are recommended, else nothing")
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Tell whether samples of rare classes help: against nothing, oversampling and mixing, with equal steps.

    Exit code 0: a table is recommended; 9: none is. The same command continues what was interrupted.

    \b
    maskcls synth judge faces samples.csv --config multi --use samples.yaml
    maskcls synth judge faces gan.csv smote --config multi --fit heads
    """
    from maskcls.verbs.words import split_words

    samples, overrides = split_words(words)
    if fit not in ("training", "heads"):
        raise UsageError("no such way to fit", where="--fit", got=fit, expected="training or heads")
    how: Literal["training", "heads"] = "heads" if fit == "heads" else "training"
    cfg, origins = load_config_for(data, config, overrides)
    from maskcls import files
    from maskcls.synth.arms.arm_settings import check_arms

    check_arms(data, cfg, samples, how)
    files.check_folder(run, name="the folder of all trainings", option="--run")
    inputs = [data, *(Path(one) for one in samples if one != "smote")]
    files.check_outputs(run, inputs=inputs)
    if page is not None:
        files.check_page_name(page)
    outputs = [path for path in (page, use) if path is not None]
    files.refuse_finished(*outputs, inputs=inputs, force=force)
    from maskcls.config import with_backbone
    from maskcls.schema.group_noun import group_noun
    from maskcls.show.arms.verdict_text import print_verdict
    from maskcls.show.terminal.progress import LOADING, Reporter

    again = "what was trained is kept. Continue with the same command"
    with interruptible(lambda: again), Reporter(noun=group_noun(cfg)) as report:
        with report.busy(LOADING):
            from maskcls.commands.resume import resume as continued
            from maskcls.commands.synth.judge import compare_arms as work
            from maskcls.commands.train import train as started
        found = work(
            data,
            cfg,
            samples,
            run,
            seeds=seeds,
            fit=how,
            use=use,
            force=force,
            train=lambda own, place: started(
                data, own, place, folds=None, report=report, origins=with_backbone(own, origins)
            ),
            resume=lambda place: continued(place, folds=None, report=report),
            report=report,
        )
    if page is not None:
        from maskcls.show.arms.verdict_page import write_verdict_page

        write_verdict_page(page, found, force=force)
    print_verdict(found, page, json=json)
    if found.verdict.best is None:
        raise typer.Exit(Exit.RESULT)
