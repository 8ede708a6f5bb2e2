"""Make, check, crop and view data sets; list and delete cached photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskcls.errors import UsageError
from maskcls.verbs.help import VerbApp
from maskcls.verbs.labels import data_labels
from maskcls.verbs.older import note_dry_run, output_of_extra
from maskcls.verbs.options import Config, Data, Force, Json, Overrides, load_config

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
    json: Json = False,
) -> None:
    """Draw faces in the contest's layout, with eval photos and their true labels.

    \b
    maskcls data make faces --people 60 --seed 0
    """
    from maskcls.commands.data.make import make
    from maskcls.show.data.drawn_data import print_drawn_data

    print_drawn_data(make(directory, people=people, seed=seed, eval_people=eval_people), json=json)


@app.command("check")
def data_check(data: Data, overrides: Overrides = None, config: Config = None, json: Json = False) -> None:
    """Read every row and photo of a data set; print all errors, or people and photos per class and equal photos.

    \b
    maskcls data check faces
    """
    cfg, _ = load_config(config, overrides)
    from maskcls.commands.data.check import check
    from maskcls.show.data.check import print_data_check
    from maskcls.show.terminal.progress import Reporter

    with Reporter() as report:
        found = check(data, cfg, report)
    print_data_check(found, json=json)


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
    from maskcls.commands.data.crop import crop
    from maskcls.show.data.crop import print_copy
    from maskcls.show.terminal.progress import Reporter

    output = output_of_extra(context.args, output)
    if output is None:
        raise UsageError("no folder to make", expected="-o FOLDER", fix="name a new or an empty folder")
    with Reporter() as report:
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
    force: Force = False,
    json: Json = False,
) -> None:
    """Draw some photos as the network gets them: the validation view and augmented training views.

    \b
    maskcls data look faces --config multi -o sheet.png
    maskcls data look faces transforms.preset=faces transforms.hue=0.02 --force
    """
    cfg, _ = load_config(config, overrides)
    from maskcls.commands.data.look import look as work
    from maskcls.show.data.contact_sheet import print_contact_sheet

    print_contact_sheet(work(data, cfg, output, photos=photos, draws=draws, force=force), json=json)


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
