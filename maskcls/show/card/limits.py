"""The card's sections about limits and use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from maskcls.groupnouns import PEOPLE, Noun
from maskcls.results.scores.slices import Slice
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.card.markdown import bullets, escaped, section
from maskcls.show.terminal.text import number, plural

FEW_GROUPS = 50  # below this the interval of a share of 0.5 is wider than 0.28
MOST_NAMED = 12

# Of photos of people: the contest's, or those of a table whose groups are called people.
PROPER = (
    "Use it on photos like the training photos: of the same kind of camera, crop and place, of people who agreed to be "
    "photographed for this purpose. Check it on labelled photos of your own first: `maskcls evaluate`.",
    "Use its results for counts and statistics, or as a hint to a person who sees the photo too.",
)
IMPROPER = (
    "No identification: the model does not say who is on a photo, and its features must not be used for that.",
    "No decision about a person by this model alone, such as access, work, credit, policing or medical care.",
    "No use on photos that people did not agree to, or where the law forbids it.",
    "Classes such as gender or age band are labels of a photo, given by other people. They do not say who somebody is.",
)
NOT_MEASURED = (
    "Not measured: other cameras, light, crops and countries than those of the training data, other kinds of people, "
    "photos without a person or with several, changed or generated photos. The intervals do not cover these."
)

# Of other photos: what they show is not known.
PROPER_OF_ANY = (
    "Use it on photos like the training photos: of the same kind of camera, crop, place and subject. Check it on "
    "labelled photos of your own first: `maskcls evaluate`.",
    "Use its results for counts and statistics, or as a hint to somebody who sees the photo too.",
)
IMPROPER_OF_ANY = ("No decision with serious consequences by this model alone.",)
IF_PEOPLE = (
    "maskcls does not know what the photos show. If they show people, use it only on photos that they agreed to; and:"
)
NOT_MEASURED_OF_ANY = (
    "Not measured: other cameras, light, crops and places than those of the training data, photos of something else "
    "or of several subjects, changed or generated photos. The intervals do not cover these."
)


def limits_part(reported: ReportedRun, further: Sequence[str] = ()) -> str:
    """Return what the scores do not say: few groups, undefined scores, choices, what was not measured.

    further  limits of the export, as Markdown.
    """
    unmeasured = NOT_MEASURED if reported.noun == PEOPLE else NOT_MEASURED_OF_ANY
    return section("Limits", bullets([*further, *_of_classes(reported), *_of_scores(reported), unmeasured]))


def use_part(noun: Noun) -> str:
    """Return proper and improper use; only groups called people say that photos show people."""
    if noun == PEOPLE:
        proper, improper = bullets(PROPER), bullets(IMPROPER)
        why = "These rules assume that photos show people."
        return section("Use", "Proper use:", proper, "Not for:", improper, why)
    proper, improper = bullets(PROPER_OF_ANY), bullets(IMPROPER_OF_ANY)
    return section("Use", "Proper use:", proper, "Not for:", improper, IF_PEOPLE, bullets(IMPROPER))


def _of_classes(reported: ReportedRun) -> Iterator[str]:
    if reported.rows is None:
        return
    found = reported.rows.evaluation
    joint, tasks = list(found.by_joint), list(found.by_class)
    classes = {**_named(tasks), **(_named(joint) if len(found.scores.tasks) > 1 else {})}
    few = {name: one for name, one in classes.items() if one.people is not None and 0 < one.people < FEW_GROUPS}
    if few:
        listed = [f"{escaped(name)} ({one.people:,})" for name, one in few.items()]
        yield f"Classes with fewer than {FEW_GROUPS} {reported.noun[1]}; their scores vary much: {_some(listed)}."
    elif found.people is None:
        many = reported.noun[1]
        yield (
            f"{many.capitalize()} are not known, so it is not known how many {many} each class has; intervals are too "
            "narrow."
        )
    if empty := [escaped(name) for name, one in classes.items() if not one.rows]:
        yield f"Classes without a labelled photo, of which nothing is known: {_some(empty)}."
    scores = found.scores
    for name, one in {"the joint classes": scores.joint, **scores.tasks}.items():
        if one.classes_scored < len(one.classes):
            scored = f"{one.classes_scored} of {len(one.classes)} classes"
            yield f"The macro-F1 of {escaped(name)} is over {scored}; it is undefined for the others."


def _of_scores(reported: ReportedRun) -> Iterator[str]:
    cfg, summary = reported.config, reported.summary
    if reported.rows is None:
        yield f"There is no score: networks may have been trained on {reported.noun[1]} of their validation fold."
    elif len(reported.environment.folds) * cfg.train.seeds > 1:
        yield (
            "The scores are of single networks of the folds. The exported model averages its networks, which is "
            f"usually slightly better; this average has no score, as every {reported.noun[0]} is in some network's "
            "training."
        )
    if summary.groups and summary.groups.averaged:
        yield (
            "The scores are with averaging over similar photos. A model that predicts photo by photo does not do "
            f"that: macro-F1 {number(summary.groups.alone)} without it."
        )
    if cfg.predict.networks != "folds":
        yield f"Networks without a score predict as well (predict.networks={cfg.predict.networks})."
    runs = len(reported.choices.by_kind.get("run", ()))
    if runs > 1:
        yield f"{plural(runs, 'run')} were scored on the same rows; the score of the best of them is slightly too high."


def _named(slices: list[Slice]) -> dict[str, Slice]:
    return {one.name if len(one.classes) > 1 else _of_task(one): one for one in slices}


def _of_task(one: Slice) -> str:
    ((task, name),) = one.classes.items()
    return f"{task} {name}"


def _some(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
