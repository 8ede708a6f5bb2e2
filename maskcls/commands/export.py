"""maskcls export: write the networks of a run as one ONNX file, checked against the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskcls import files
from maskcls.data.photos.images import read_image
from maskcls.errors import DataError
from maskcls.export.export_checks import check_onnx_export
from maskcls.export.facts import exported_facts
from maskcls.export.graph_resize import pixel_differences
from maskcls.export.onnx_file import OPSET, to_bytes, to_onnx
from maskcls.export.onnx_model import onnx_model
from maskcls.export.whole_model import whole_model
from maskcls.results.comparison.parity import Parity, compare_predictions, refuse_unequal
from maskcls.results.photo_model import Photo
from maskcls.rundir import RunDir
from maskcls.runs.summary import averages_in_groups
from maskcls.show.answers.export import ExportedFile
from maskcls.show.terminal.progress import Reporter
from maskcls.training.predicting.run_model import RunModel, open_run_model
from maskcls.training.stored_experiment import open_experiment

EXACT = ("device.type=cpu", "device.precision=fp32", "device.memory_format=contiguous")


def export(
    run: RunDir,
    output: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    decide: bool = False,
    check: int = 64,
    licence: str | None = None,
    force: bool = False,
    report: Reporter,
) -> ExportedFile:
    """Write an ONNX file that predicts what the run predicts, from photos of any size.

    output     None: `RunDir.onnx`.
    overrides  predict.views and predict.networks alone.
    decide     also apply the decision rule of `calibrate`.
    check      number of the run's photos on which the file is compared with the run; 0: not compared.
    licence    of the weights, for the file's metadata.

    Raises what `check_onnx_export`, `open_run_model`, `to_onnx` and `refuse_unequal` raise; DataError when the photos
    of the run cannot be read.
    """
    output = output or run.onnx
    check_onnx_export(run, output, overrides, decide=decide, check=check, force=force)
    model = open_run_model(run, [*overrides, *EXACT], decide=decide, report=report)
    if averages_in_groups(run):
        report.note("the run averages similar photos; the exported model predicts every photo alone")
    if decide and model.decision and model.decision.rule is None:
        report.note("no decision rule had a proven gain: the most probable class is exported")
    photos = check_photos_of(run, model, check)
    with report.busy("exporting"):
        proto = to_onnx(whole_model(model))
        facts = exported_facts(run, model, licence=licence) | {"opset": OPSET}
    parity = None
    if photos:
        with report.busy("comparing with the run"):
            parity = measured(model, to_bytes(proto, facts), photos, str(output))
        refuse_unequal(parity, where=str(output))
    data = to_bytes(proto, facts | {"parity": parity.to_json() if parity else None})
    digest = files.commit(output, data)
    rule = model.decision.rule.kind if model.decision and model.decision.rule else None
    return ExportedFile(output, len(data), digest, len(model.networks), model.cfg.predict.views, rule, parity)


def measured(model: RunModel, data: bytes, photos: Sequence[Photo], where: str) -> Parity:
    """Compare the content of an ONNX file with the run on these photos."""
    exported = onnx_model(data, where=where)
    prob_NJ, (found_NJ, found_N) = model.predict(photos), exported.run(photos)
    pixels, max_pixel = pixel_differences(photos, model.specs)
    return compare_predictions(prob_NJ, model.decide(prob_NJ), found_NJ, found_N, pixels=pixels, max_pixel=max_pixel)


def check_photos_of(run: RunDir, model: RunModel, count: int) -> list[Photo]:
    """Return photos of the run's table, decoded as `predict` decodes them: `count`, or all if there are fewer."""
    experiment, _ = open_experiment(run)
    paths = experiment.manifest["path"].tolist()
    rows = np.random.default_rng(0).permutation(len(paths))[:count]
    try:
        return [read_image(experiment.photo_root / paths[row], at_least=model.decode_size) for row in sorted(rows)]
    except DataError as error:
        fix = "restore the photos of the run, or export without the comparison: --check 0"
        raise DataError(
            "a photo to check the export with cannot be read", where=error.where, got=error.what, fix=fix
        ) from None
