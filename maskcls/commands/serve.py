"""maskcls serve: an HTTP server that predicts photos with a run or an exported model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import maskcls
from maskcls.export.open_model import open_model
from maskcls.results.photo_model import PhotoModel
from maskcls.rundir import RunDir
from maskcls.runs.summary import read_summary
from maskcls.serve.app import build_app
from maskcls.serve.guard import AccessRules
from maskcls.serve.limits import ServerLimits, check_limits, check_token
from maskcls.serve.listening import bind, is_loopback, listen, url_of
from maskcls.serve.metrics import ServerMetrics
from maskcls.serve.service import PhotoService
from maskcls.show.pages.upload import upload_page
from maskcls.show.terminal.progress import Reporter


@dataclass(frozen=True)
class Served:
    """What a server did until it was stopped: how many requests it answered, and how many photos it predicted."""

    url: str
    requests: int
    photos: int


def serve(
    path: Path,
    *,
    host: str,
    port: int,
    limits: ServerLimits,
    token: str | None = None,
    decide: bool = False,
    overrides: Sequence[str] = (),
    report: Reporter,
) -> Served:
    """Predict photos over HTTP until SIGINT or SIGTERM.

    path       a run folder, or an exported model.
    token      clients must know it; None: nobody is asked.
    decide     use the decision rule for the joint class, see `calibrate`.
    overrides  of `predict.*` and `device.*` alone.

    Raises UsageError for wrong limits or a weak token, ResourceError for an address that is taken, and what
    `open_model` raises.
    """
    check_limits(limits)
    check_token(token)
    bound = bind(host, port)
    with bound:
        model = open_model(path, overrides, decide=decide, report=report)
        metrics = ServerMetrics()
        service = PhotoService(model, limits, metrics, decide=decide)
        page = upload_page(
            max_photos=limits.max_photos, max_megabytes=limits.max_megabytes, needs_token=token is not None
        )
        rules = AccessRules(token, is_loopback(bound))
        if not rules.loopback and token is None:
            report.note(f"warning: everybody who can reach {url_of(bound)} can use this server; --token limits that")
        about = describe_model(model, service.hash, limits, scores=summary_scores(path), decide=decide)
        app = build_app(service, rules, page=page, about=about)
        url = url_of(bound)
        report.end_bars()  # they would be drawn again ten times per second
        listen(
            app,
            bound,
            limits,
            on_start=lambda: report.note(f"listening on {url}; stop with Ctrl-C"),
            on_stop=service.begin_stop,
            failure=lambda: service.failure,
        )
    return Served(url, metrics.answered(), metrics.predicted())


def describe_model(
    model: PhotoModel, digest: str, limits: ServerLimits, *, scores: Mapping[str, Any] | None, decide: bool
) -> dict[str, Any]:
    """Return what `/model` says: plain JSON data."""
    space = model.space
    return {
        "version": 1,
        "maskcls": maskcls.__version__,
        "hash": digest,
        "tasks": [{"name": task.name, "classes": list(task.classes)} for task in space.tasks],
        "joint": list(space.joint_names),
        "decide": decide,
        "scores": scores,
        "origin": dict(model.origin),
        "limits": asdict(limits),
    }


def summary_scores(path: Path) -> dict[str, Any] | None:
    """Return the out-of-fold macro-F1 of a run, joint and per task; None for another model and for a run without."""
    summary = read_summary(RunDir(path)) if path.is_dir() else None
    if summary is None or summary.pooled is None:
        return None
    tasks = {name: score.macro_f1 for name, score in summary.pooled.tasks.items()}
    return {"macro_f1": summary.pooled.macro_f1, "tasks": tasks, "rows": summary.pooled.rows, "people": summary.people}
