"""maskcls export: write the networks of a run for other programs, checked against the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, assert_never

import numpy as np
import torch

from maskcls import files
from maskcls.errors import DataError
from maskcls.export.export_checks import check_export
from maskcls.export.facts import exported_facts
from maskcls.export.graph_names import CHOSEN, JOINT_OUTPUT
from maskcls.export.graph_resize import resize_differences
from maskcls.export.int8.options import Int8Options
from maskcls.export.onnx_file import OPSET, onnx_bytes, to_onnx
from maskcls.export.onnx_model import BATCH, batches_of_one_size, onnx_model
from maskcls.export.targets import Target, card_beside, default_output
from maskcls.export.timm_folder import write_timm_folder
from maskcls.export.torch_file import read_torch_file, torch_file_bytes, torch_program
from maskcls.export.whole_model import whole_model
from maskcls.files import OutputFile
from maskcls.labels import Floats, Ints
from maskcls.results.comparison.int8_cost import Int8Measured, refuse_loss
from maskcls.results.comparison.parity import Parity, compare_predictions, refuse_unequal
from maskcls.results.photo_model import Photo
from maskcls.rundir import RunDir
from maskcls.runs.overrides import with_overrides
from maskcls.runs.reported.reported_run import ReportedRun, read_reported_run
from maskcls.runs.summary import averages_in_groups
from maskcls.show.answers.export import Exported, ExportedCard, ExportedFile, ExportedFolder
from maskcls.show.card.card import CardOf, model_card
from maskcls.show.card.export import folder_part, int8_part, onnx_part, torch_part
from maskcls.show.card.versions import are_named_in
from maskcls.show.terminal.progress import Reporter
from maskcls.training.known_photos import MOVED, RESTORE_FILES, cured_by_restoring, known_photo
from maskcls.training.predicting.run_model import RunModel, open_run_model
from maskcls.training.stored_experiment import open_with_photos

EXACT = ("device.type=cpu", "device.precision=fp32", "device.memory_format=contiguous")


def export(
    run: RunDir,
    output: Path | None = None,
    *,
    to: Target = "onnx",
    overrides: Sequence[str] = (),
    decide: bool = False,
    check: int = 64,
    licence: str | None = None,
    int8: Int8Options | None = None,
    data: Path | None = None,
    force: bool = False,
    report: Reporter,
) -> Exported:
    """Write what predicts what the run predicts, and a model card beside it.

    output     None: see `default_output`.
    overrides  predict.views and predict.networks alone.
    decide     also apply the decision rule of `calibrate`.
    check      number of the run's photos on which the file is compared with the run; 0: not compared.
    licence    of the weights, for metadata and model card.
    data       where the run's data set is now, for photos to compare on and to quantize with; None: where it was.
    int8       the networks of an ONNX file in 8 bits; None: float32.

    Raises what `check_export`, `open_run_model`, `to_onnx`, `refuse_unequal` and `refuse_loss` raise; DataError when
    photos of the run cannot be read.
    """
    output = output or default_output(run, to, int8=int8 is not None)
    check_export(run, output, to, overrides, decide=decide, check=check, int8=int8, force=force)
    card = _Card(read_reported_run(run), card_beside(output, to, run), overrides, licence)
    if to == "model-card":
        with files.filling(run.path):
            files.commit_outputs([card.file(CardOf())], force=force)
        return ExportedCard(card.path)
    model = open_run_model(run, [*overrides, *EXACT], decide=decide, report=report)
    if averages_in_groups(run):
        report.note("the run averages similar photos; the exported model predicts every photo alone")
    if decide and model.decision and model.decision.rule is None:
        report.note("no decision rule had a proven gain: the most probable class is exported")
    job = _Job(run, output, model, card, check, licence, force, report, data)
    with files.filling(run.path):
        return _export(job, to, int8)


def _export(job: _Job, to: Literal["onnx", "torch-export", "safetensors"], int8: Int8Options | None) -> Exported:
    match to:
        case "onnx":
            return _export_onnx(job, int8)
        case "torch-export":
            return _export_torch(job)
        case "safetensors":
            return _export_folder(job)
        case _:
            assert_never(to)


@dataclass(frozen=True)
class _Card:
    """A model card to write: the run as it is reported, read before anything is exported, and the file."""

    reported: ReportedRun
    path: Path
    overrides: Sequence[str]
    licence: str | None

    def file(self, of: CardOf) -> OutputFile:
        """Return the card as a file to write; one that a killed command left may be replaced."""
        return OutputFile(self.path, self.text(of).encode(), lambda found: are_named_in(found, of.files))

    def text(self, of: CardOf) -> str:
        """Return the text of the card."""
        before, cfg = self.reported.config.predict, with_overrides(self.reported.config, list(self.overrides))
        if cfg.predict.views != before.views:
            limit = f"The scores are with predict.views={before.views}, not with {cfg.predict.views}."
            of = replace(of, limits=[limit])
        return model_card(replace(self.reported, config=cfg), of, licence=self.licence or "")


@dataclass(frozen=True)
class _Job:
    """The options of an export with the opened run."""

    run: RunDir
    output: Path
    model: RunModel
    card: _Card
    check: int
    licence: str | None
    force: bool
    report: Reporter
    data: Path | None

    @property
    def facts(self) -> dict[str, Any]:
        """What the exported file says about itself."""
        return exported_facts(self.run, self.model, licence=self.licence)

    def write(self, data: bytes, part: str, *further: str, parity: Parity | None) -> ExportedFile:
        """Write the file, after its card with these parts; return what was written."""
        model, digest = self.model, files.sha256(data)
        card = self.card.file(CardOf({self.output.name: digest}, [part, *further]))
        files.commit_outputs([card, OutputFile(self.output, data)], force=self.force)
        rule = model.decision.rule.kind if model.decision and model.decision.rule else None
        views = model.cfg.predict.views
        return ExportedFile(self.output, len(data), digest, len(model.networks), views, rule, parity, card.path)


def _export_onnx(job: _Job, int8: Int8Options | None) -> ExportedFile:
    """Write the float model, or the int8 model; the float model is compared with the run in both cases."""
    photos, report = check_photos_of(job.run, job.model, job.check, job.data), job.report
    with report.busy("exporting"):
        proto = to_onnx(whole_model(job.model))
        facts = job.facts | {"opset": OPSET}
    parity = None
    if photos:
        with report.busy("comparing with the run"):
            parity = measured(job.model, onnx_bytes(proto, facts), photos, str(job.output))
        refuse_unequal(parity, where=str(job.output))
    if int8 is not None:
        return _export_int8(job, int8, proto, facts)
    data = onnx_bytes(proto, facts | {"parity": parity.to_json() if parity else None})
    return job.write(data, onnx_part(job.output.name, parity), parity=parity)


def _export_int8(job: _Job, int8: Int8Options, proto: Any, facts: Mapping[str, Any]) -> ExportedFile:
    """Write the float model `proto` with its networks in 8 bits, unless they lose too much."""
    from maskcls.export.int8.held_out import RunPhotos, measure_int8, measure_speed  # brings onnx, an extra
    from maskcls.export.int8.quantize import quantized

    experiment, env = open_with_photos(job.run, job.data)
    photos, report, name = RunPhotos(experiment, job.model.decode_size), job.report, job.output.name
    views = f"predict.views={job.model.cfg.predict.views}"
    scored = open_run_model(job.run, [views, "predict.networks=folds", *EXACT], report=report)
    with cured_by_restoring():
        cost = measure_int8(scored, photos, env.folds, calibration=int8.calibration, report=report)
    refuse_loss(cost, most=int8.most_loss, where=str(job.output))
    drawn = photos.draw(int8.calibration)
    with report.busy("quantizing all networks"):
        small = quantized(proto, photos.read, drawn)
    with report.busy("measuring the speed"):
        speed = measure_speed(proto, small, job.model, photos.read(drawn[0]))
    found = Int8Measured(cost, speed, proto.ByteSize())
    data = onnx_bytes(small, {**facts, "parity": None, "int8": found.to_json()})
    return replace(job.write(data, onnx_part(name, None), int8_part(found), parity=None), int8=found)


def _export_torch(job: _Job) -> ExportedFile:
    """Write a file of torch.export; it is read back and compared with the run before that."""
    photos = check_photos_of(job.run, job.model, job.check, job.data)
    with job.report.busy("exporting"):
        program, facts = torch_program(whole_model(job.model)), job.facts
    parity = None
    if photos:
        with job.report.busy("comparing with the run"):
            found = _predicted_by(read_torch_file(torch_file_bytes(program, facts)), photos)
            parity = _compared(job.model, photos, *found)
        refuse_unequal(parity, where=str(job.output))
    data = torch_file_bytes(program, facts | {"parity": parity.to_json() if parity else None})
    return job.write(data, torch_part(job.output.name, parity), parity=parity)


def _export_folder(job: _Job) -> ExportedFolder:
    names = ("maskcls", "run", "run_hashes", "networks", "out_of_fold", "licence", "torch")
    facts = job.facts
    origin = {name: facts[name] for name in names}
    with files.as_unwritten(job.output), files.folder_aside(job.output) as draft:
        made = write_timm_folder(draft, job.model.networks, job.model.cfg, origin)
        card = job.card.text(CardOf(made.hashes, [folder_part(made.networks[0])]))
        files.commit(draft / job.card.path.name, card.encode())
        files.put_folder(draft, job.output, force=job.force)
    return ExportedFolder(job.output, made.bytes, made.networks, job.card.path)


def measured(model: RunModel, data: bytes, photos: Sequence[Photo], where: str) -> Parity:
    """Compare the content of an ONNX file with the run on these photos."""
    return _compared(model, photos, *onnx_model(data, where=where).run(photos))


def check_photos_of(run: RunDir, model: RunModel, count: int, data: Path | None = None) -> list[Photo]:
    """Return photos of the run's table, decoded as `predict` decodes them: `count`, or all if there are fewer.

    data  where the run's data set is now; None: where it was.
    """
    if not count:
        return []
    experiment, _ = open_with_photos(run, data)
    rows = np.random.default_rng(0).permutation(len(experiment.manifest))[:count]
    try:
        return [known_photo(experiment, row, at_least=model.decode_size) for row in sorted(rows.tolist())]
    except DataError as error:
        fix = f"{RESTORE_FILES}, {MOVED}, or export without the comparison: --check 0"
        raise DataError(
            "a photo to check the export with cannot be read", where=error.where, got=error.what, fix=fix
        ) from None


def _compared(model: RunModel, photos: Sequence[Photo], found_NJ: Floats, found_N: Ints) -> Parity:
    prob_NJ = model.predict(photos)
    pixels, max_pixel = resize_differences(photos, model.specs)
    return compare_predictions(prob_NJ, model.decide(prob_NJ), found_NJ, found_N, pixels=pixels, max_pixel=max_pixel)


@torch.inference_mode()
def _predicted_by(module: torch.nn.Module, photos: Sequence[Photo]) -> tuple[Floats, Ints]:
    """Return joint probabilities (N, J) and the classes (N,) decided on, of photos of any sizes."""
    places = batches_of_one_size([photo.shape[:2] for photo in photos], BATCH)
    found = [module(torch.from_numpy(np.stack([photos[place] for place in some]))) for some in places]
    order = np.argsort(np.concatenate(places))
    prob_NJ, chosen_N = (
        torch.cat([one[name] for one in found]).numpy()[order] for name in (JOINT_OUTPUT, JOINT_OUTPUT + CHOSEN)
    )
    return prob_NJ, chosen_N
