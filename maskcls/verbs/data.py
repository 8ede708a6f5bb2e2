"""Make, check, crop and view data sets; list and delete cached photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from maskcls.errors import UsageError
from maskcls.show.terminal.waiting import waiting
from maskcls.verbs.help import VerbApp
from maskcls.verbs.labels import data_labels
from maskcls.verbs.older import note_dry_run, output_of_extra
from maskcls.verbs.options import Config, Data, Force, Json, Overrides, answering, load_config_for

app = VerbApp(no_args_is_help=True, help="Make and check data sets.")
cache_app = VerbApp(no_args_is_help=True, help="List and delete cached decoded photos.")
app.add_typer(cache_app, name="cache")
app.command("labels")(data_labels)


@app.command("make")
def data_make(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="folder to make")],
    people: Annotated[int, typer.Option(min=1, help="people to train on, seven photos per person")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="another seed draws other people")] = 0,
    eval_people: Annotated[int | None, typer.Option(min=1, help="people to predict; default: a third")] = None,
    ages: Annotated[
        Literal["drawn", "contest", "uniform"],
        typer.Option(
            help="drawn: 18 to 75, few near 60; contest: 18 to 60, all old people are exactly 60; uniform: every year"
            " from 18 to 75 equally often"
        ),
    ] = "drawn",
    age_error_years: Annotated[
        float,
        typer.Option(min=0, max=20, help="standard deviation of the errors of the ages in train.csv, in years"),
    ] = 0.0,
    json: Json = False,
) -> None:
    """Draw faces in the contest's layout, with eval photos and their true labels.

    \b
    maskcls data make faces --people 60 --seed 0
    maskcls data make faces --people 300 --ages contest --age-error-years 2
    """
    with waiting("drawing faces"):
        from maskcls.commands.data.make import make
        from maskcls.show.data.drawn_data import print_drawn_data

        made = make(
            directory, people=people, seed=seed, eval_people=eval_people, ages=ages, error_years=age_error_years
        )
    print_drawn_data(made, json=json)


@app.command("init")
def data_init(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="the configuration to write")] = Path("maskcls.yaml"),
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            help="a column that is a task, or the name of a level of class folders; may be repeated; default: proposed",
            show_default=False,
        ),
    ] = None,
    group: Annotated[
        str, typer.Option("--group", help="what data.group is: a column of the table, none, or auto")
    ] = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Look at your data and write a first configuration: tasks, classes, image size and recipe, with reasons.

    \b
    maskcls data init photos.csv
    maskcls data init photos.csv --task diagnosis --group patient -o first.yaml
    maskcls data init flowers    (a folder with one folder per class)
    """
    with waiting("reading the data"):
        from maskcls.commands.data.init import init
        from maskcls.show.data.proposal import print_proposal

        found = init(data, output, tasks=task or [], group=group, force=force)
    print_proposal(found, data, output, json=json)


@app.command("check")
def data_check(
    data: Data,
    overrides: Overrides = None,
    config: Config = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            help="a finished run: its folds, embeddings, class shares",
            show_default=False,
            callback=answering,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="weights of model.backbone, for embeddings without a run", show_default=False),
    ] = None,
    fail_on: Annotated[
        Literal["error", "warning", "information"],
        typer.Option(
            "--fail-on", help="exit with 4 for findings of this level and above; an error is what train refuses"
        ),
    ] = "error",
    page: Annotated[
        Path | None, typer.Option("--page", help="also write the findings as an HTML page", show_default=False)
    ] = None,
    with_photos: Annotated[
        bool, typer.Option("--with-photos", help="embed the photos of findings into the page; default: links")
    ] = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Look for what is wrong with a data set: photos, duplicates, near duplicates, labels, train against eval.

    \b
    maskcls data check faces
    maskcls data check faces --run runs/a --fail-on warning --page check.html
    """
    if run is not None and weights is not None:
        raise UsageError("embeddings come from one place", got="--run and --weights", fix="give one of them")
    if with_photos and page is None:
        raise UsageError("there is no page for the photos", got="--with-photos", fix="name one with --page")
    if page is not None:
        from maskcls.config.installed_extras import FIGURES, check_extra

        check_extra("report", needed_by="--page", packages=FIGURES)
    cfg, _ = load_config_for(data, config, overrides)
    from maskcls import files
    from maskcls.data.layouts.source import check_data

    check_data(data, cfg.data.format)
    if page is not None:
        from maskcls.runs.identity import files_read

        files.check_page_name(page)
        files.refuse_finished(page, inputs=files_read(data, run, weights), force=force)
    from maskcls.show.data.check import print_data_check
    from maskcls.show.data.check_page import write_check_page
    from maskcls.show.terminal.progress import LOADING, Reporter

    with Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.data.check import NetworkSource, check
        found = check(data, cfg, report, network=NetworkSource(run, weights))
    if page is not None:
        write_check_page(found, page, name=data.resolve().name, photos=with_photos, force=force)
    from maskcls.rundir import RunDir
    from maskcls.runs.records.versions import other_versions

    print_data_check(found, versions=other_versions(RunDir(run)) if run is not None else {}, json=json)
    if code := found.exit_code(fail_on):
        raise typer.Exit(code)


@app.command("crop", context_settings={"allow_extra_args": True})
def data_crop(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root, or a CSV table; it is not changed")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="folder to make (needed)", show_default=False)
    ] = None,
    detector: Annotated[Path | None, typer.Option(help="face detector: OpenCV Zoo's YuNet, an .onnx file")] = None,
    any_detector: Annotated[bool, typer.Option("--any-detector", help="accept a file of unknown hash")] = False,
    like: Annotated[Path | None, typer.Option(help="crops.json of another copy: same margin, aspect, window")] = None,
    fixed: Annotated[
        bool, typer.Option("--fixed", help="crop all photos at the median, or usual, face position")
    ] = False,
    margin: Annotated[float | None, typer.Option(help="margin per side, as a share of the face; default: 0.3")] = None,
    aspect: Annotated[str | None, typer.Option(help="height:width of the crops; default: 4:3")] = None,
    json: Json = False,
) -> None:
    """Copy a data set with every photo cropped around its face; crops.csv lists the boxes.

    \b
    maskcls data crop faces -o cropped --detector yunet.onnx
    maskcls data crop more -o cropped2 --like cropped/crops.json
    maskcls data crop faces -o cropped3 --fixed
    """
    from maskcls.show.data.crop import print_copy
    from maskcls.show.terminal.progress import LOADING, Reporter

    output = output_of_extra(context.args, output)
    if output is None:
        raise UsageError("no folder to make", expected="-o FOLDER", fix="name a new or an empty folder")
    with Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.data.crop import crop
        copy = crop(
            data,
            output,
            detector=detector,
            any_detector=any_detector,
            like=like,
            fixed=fixed,
            margin=margin,
            aspect=aspect,
            report=report,
        )
    print_copy(copy, json=json)


@app.command("look")
def data_look(
    data: Data,
    overrides: Overrides = None,
    config: Config = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="the picture to write, a .png")] = Path("sheet.png"),
    photos: Annotated[int, typer.Option(min=1, max=500, help="number of photos, spread over the classes")] = 8,
    draws: Annotated[int, typer.Option(min=0, max=100, help="augmented training views per photo")] = 6,
    no_boxes: Annotated[
        bool, typer.Option("--no-boxes", help="draw no outlines of crops and boxes: only what the network gets")
    ] = False,
    page: Annotated[
        Path | None, typer.Option(help="HTML page to write, too: mixing partner, boxes and target of each view")
    ] = None,
    with_photos: Annotated[
        bool, typer.Option("--with-photos", help="embed the pictures in the page; without it, it names the photos")
    ] = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Draw some photos as the network gets them: validation view, augmented and mixed training views, crops, boxes.

    \b
    maskcls data look faces --config multi -o sheet.png
    maskcls data look faces mix.kind=cutmix --page sheet.html --with-photos
    maskcls data look faces transforms.preset=faces transforms.hue=0.02 --force
    """
    cfg, _ = load_config_for(data, config, overrides)
    from maskcls.runs.checks import check_picture

    check_picture(data, cfg, output, page=page, with_photos=with_photos, force=force)
    with waiting("drawing photos"):
        from maskcls.commands.data.look import look as work
        from maskcls.show.data.contact_sheet import print_contact_sheet

        found = work(
            data,
            cfg,
            output,
            photos=photos,
            draws=draws,
            boxes=not no_boxes,
            page=page,
            with_photos=with_photos,
            force=force,
        )
    print_contact_sheet(found, json=json)


@cache_app.command("list")
def cache_list(json: Json = False) -> None:
    """List the packs of decoded photos: size, photos, view, last use, and the folder of the photos.

    \b
    maskcls data cache list
    """
    from maskcls.commands.data.cache import list_packs
    from maskcls.show.data.cache import print_packs

    print_packs(list_packs(), json=json)


@cache_app.command("prune")
def cache_prune(
    days: Annotated[float, typer.Option(min=0, help="packs not used for this long; 0: all")] = 30,
    yes: Annotated[bool, typer.Option("--yes", help="delete; without it, only show what would be deleted")] = False,
    json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", hidden=True)] = False,
) -> None:
    """Show which packs of decoded photos can be deleted; delete them with --yes. They are made again when needed.

    \b
    maskcls data cache prune --days 7
    maskcls data cache prune --days 0 --yes
    """
    from maskcls.commands.data.cache import prune_cache
    from maskcls.show.runs.pruning import print_pruning

    note_dry_run(dry_run, yes)
    print_pruning(prune_cache(days=days, yes=yes), json=json)
