"""Make, check, crop and look at data sets; the cache of decoded photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskcls.verbs.options import Config, Overrides

app = typer.Typer(no_args_is_help=True, help="Make and check data sets.")
cache_app = typer.Typer(no_args_is_help=True, help="See and clear the cache of decoded photos.")
app.add_typer(cache_app, name="cache")


@app.command("make")
def data_make(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="folder to make")],
    people: Annotated[int, typer.Option(min=1, help="people to train on, seven photos each")] = 60,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    eval_people: Annotated[int | None, typer.Option(min=1, help="people to predict; default: a third")] = None,
) -> None:
    """Draw faces in the contest's layout, with eval photos and their answers.

    \b
    maskcls data make faces --people 60 --seed 0
    """
    from maskcls.data.drawn.faces import make_faces

    made = make_faces(directory, people=people, seed=seed, eval_people=eval_people)
    typer.echo(f"{directory / 'train'}  {made.train_photos} photos of {len(made.train_people)} people")
    typer.echo(f"{directory / 'eval'}  {made.eval_photos} photos of {len(made.eval_people)} people, with answers.csv")


@app.command("check")
def data_check(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root, or a CSV table")],
    overrides: Overrides = None,
    config: Config = None,
) -> None:
    """Read every row and photo of a data set, and say what is wrong or what is there.

    \b
    maskcls data check faces
    """
    from maskcls import config as configuration

    cfg, _ = configuration.load(config, overrides or [])
    from maskcls.commands.data.check import check

    check(data, cfg)


@app.command("crop")
def data_crop(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root, or a CSV table; only read")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="folder to make")],
    detector: Annotated[Path | None, typer.Option(help="OpenCV Zoo's YuNet, an .onnx file")] = None,
    any_detector: Annotated[bool, typer.Option("--any-detector", help="accept another file than the known")] = False,
    like: Annotated[Path | None, typer.Option(help="crops.json of another copy: its margin, aspect, window")] = None,
    fixed: Annotated[bool, typer.Option("--fixed", help="crop every photo where faces usually are")] = False,
    margin: Annotated[float | None, typer.Option(help="share of the face on each side; default: 0.3")] = None,
    aspect: Annotated[str | None, typer.Option(help="height:width of the crops; default: 4:3")] = None,
) -> None:
    """Copy a data set with every photo cropped at its face; crops.csv lists the boxes.

    \b
    maskcls data crop faces cropped --detector face_detection_yunet_2023mar.onnx
    maskcls data crop more cropped2 --like cropped/crops.json
    """
    from maskcls.commands.data.crop import crop
    from maskcls.show.progress import Reporter

    with Reporter() as report:
        crop(
            data,
            out,
            detector=detector,
            any_detector=any_detector,
            like=like,
            fixed=fixed,
            margin=margin,
            aspect=aspect,
            report=report,
        )


@app.command("look")
def data_look(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root with train/, or a CSV table")],
    overrides: Overrides = None,
    config: Config = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="the picture to write, a .png")] = Path("sheet.png"),
    photos: Annotated[int, typer.Option(min=1, max=500, help="photos to show, spread over the classes")] = 8,
    draws: Annotated[int, typer.Option(min=0, max=100, help="epochs of training to show of each")] = 6,
    force: Annotated[bool, typer.Option("--force", help="replace the picture")] = False,
) -> None:
    """Draw what the network sees of some photos: as they are judged, and as they come in the first epochs.

    \b
    maskcls data look faces --config multi -o sheet.png
    maskcls data look faces transforms.preset=faces transforms.hue=0.02 --force
    """
    from maskcls import config as configuration
    from maskcls.commands.data.look import look as work

    cfg, _ = configuration.load(config, overrides or [])
    work(data, cfg, output, photos=photos, draws=draws, force=force)


@cache_app.command("list")
def cache_list(json: Annotated[bool, typer.Option("--json", help="print one JSON array")] = False) -> None:
    """List the packs of decoded photos: size, photos, view, last use, and where the photos stood.

    \b
    maskcls data cache list
    """
    from maskcls.commands.data.cache import show

    show(json=json)


@cache_app.command("prune")
def cache_prune(
    days: Annotated[float, typer.Option(min=0, help="delete packs not used for this long; 0: all")] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="delete nothing, only say what would go")] = False,
) -> None:
    """Delete packs of decoded photos; they are made anew when they are needed.

    \b
    maskcls data cache prune --days 7 --dry-run
    maskcls data cache prune --days 0
    """
    from maskcls.commands.data.cache import prune

    prune(days=days, dry_run=dry_run)
