"""The names of a run's files."""

from pathlib import Path

from maskcls.rundir import REFIT, FoldDir, JobsDir, RunDir, StagesDir, SynthDir, SynthFoldDir, WeightsDir


def test_every_file_of_a_run_has_the_written_name() -> None:
    run = RunDir(Path("r"))
    names = {name: getattr(run, name) for name, p in vars(RunDir).items() if isinstance(p, property)}
    assert {k: str(v.path if isinstance(v, JobsDir) else v) for k, v in names.items()} == {
        "jobs": "r/jobs",
        "times": "r/times.json",
        "tracking": "r/tracking",
        "onnx": "r/export/model.onnx",
        "onnx_int8": "r/export/model.int8.onnx",
        "torch_export": "r/export/model.pt2",
        "checkpoints": "r/export/checkpoints",
        "model_card": "r/export/model-card.md",
        "mlflow_store": "r/tracking/mlflow.db",
        "mlflow_files": "r/tracking/mlflow-files",
        "report": "r/report/index.html",
        "config": "r/config.yaml",
        "labels": "r/labels.json",
        "manifest": "r/manifest.csv",
        "folds": "r/folds.csv",
        "photos": "r/photos.csv",
        "pseudo": "r/pseudo.csv",
        "pseudo_origin": "r/pseudo.json",
        "samples": "r/samples.csv",
        "samples_origin": "r/samples.json",
        "heads_origin": "r/heads.json",
        "person_clustering": "r/looks.npz",
        "env": "r/env.json",
        "oof": "r/oof.npz",
        "summary": "r/summary.json",
        "lock_file": "r/.lock",
        "decision": "r/decision.json",
        "notes": "r/notes.json",
        "notes_lock": "r/.notes.lock",
        "sealed": "r/sealed.csv",
        "unsealed": "r/unsealed.json",
        "choices": str(Path("choices.json").resolve()),
        "choices_lock": str(Path(".choices.lock").resolve()),
    }
    assert run.test("eval", "hflip", "folds", "none", "none") == Path("r/test/eval-hflip.npz")
    assert run.test("eval", "hflip", "all", "none", "none") == Path("r/test/eval-hflip-all.npz")
    assert run.test("eval", "hflip", "folds", "look", "none") == Path("r/test/eval-hflip-look.npz")
    assert run.test("eval", "hflip", "folds", "none", "coral") == Path("r/test/eval-hflip-coral.npz")
    assert run.test("eval", "hflip", "refit", "look", "none") == Path("r/test/eval-hflip-refit-look.npz")
    assert run.fold(REFIT, "age").log == Path("r/members/age/refit/log.jsonl")


def test_every_file_of_a_fold_has_the_written_name() -> None:
    fold = RunDir(Path("r")).fold(3)
    names = {name: getattr(fold, name) for name, p in vars(FoldDir).items() if isinstance(p, property)}
    assert {k: str(v.path if isinstance(v, FoldDir | WeightsDir) else v) for k, v in names.items()} == {
        "log": "r/fold3/log.jsonl",
        "first_batch": "r/fold3/first_batch.png",
        "best": "r/fold3/best",
        "last": "r/fold3/last",
        "candidates": "r/fold3/candidates",
        "soup": "r/fold3/candidates/soup",
        "resume": "r/fold3/resume",
        "state": "r/fold3/resume/state.safetensors",
        "start_heads": "r/fold3/resume/start_heads.safetensors",
        "continued": "r/fold3/continued",
        "oof": "r/fold3/oof.npz",
        "plain_heads": "r/fold3/plain_heads.npz",
        "balanced_heads": "r/fold3/balanced_heads.npz",
        "frozen_heads": "r/fold3/frozen_heads.npz",
        "summary": "r/fold3/summary.json",
        "done": "r/fold3/DONE",
    }
    assert RunDir(Path("r")).fold(0, "age").path == Path("r/members/age/fold0")
    assert fold.candidate(7).meta == Path("r/fold3/candidates/7/meta.json")
    assert fold.epoch_rows(7) == Path("r/fold3/epochs/7.npy")
    assert fold.best.tensors == Path("r/fold3/best/weights.safetensors")


def test_every_file_of_a_generator_folder_has_the_written_name(tmp_path: Path) -> None:
    made, fold = SynthDir(Path("s")), SynthDir(Path("s")).fold(2)
    assert (str(made.experiment.config), str(made.facts)) == ("s/config.yaml", "s/synth.json")
    names = {name: getattr(fold, name) for name, p in vars(SynthFoldDir).items() if isinstance(p, property)}
    assert {k: str(v.path if isinstance(v, WeightsDir) else v) for k, v in names.items()} == {
        "log": "s/fold2/log.jsonl",
        "state": "s/fold2/resume/state.safetensors",
        "generator": "s/fold2/generator",
        "critic": "s/fold2/critic",
        "done": "s/fold2/DONE",
    }
    assert str(fold.sheet(500)) == "s/fold2/sheets/500.png"
    assert SynthDir(Path("s")).fold(REFIT).path == Path("s/refit")
    found = SynthDir(tmp_path).fold(0)
    for step in (1000, 500):
        found.sheet(step).parent.mkdir(parents=True, exist_ok=True)
        found.sheet(step).touch()
    assert [path.stem for path in found.all_sheets()] == ["500", "1000"]


def test_the_fold_a_file_of_weights_left_out_is_read_from_its_place(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert run.fold_left_out(run.fold(3).best.tensors) == 3
    assert run.fold_left_out(run.fold(12, "age-seed1").last.tensors) == 12
    for other in (run.fold(REFIT).best, run.fold(3).continued.best, run.fold(3).candidate(1)):
        assert run.fold_left_out(other.tensors) is None


def test_every_file_of_jobs_has_the_written_name() -> None:
    jobs = RunDir(Path("r")).jobs
    assert (jobs.queue, jobs.request, jobs.ended, jobs.engine) == (
        Path("r/jobs/jobs.json"),
        Path("r/jobs/request.json"),
        Path("r/jobs/ended.txt"),
        Path("r/jobs/submitit"),
    )
    assert jobs.slot(1) == Path("r/jobs/.slot1.lock")
    job = jobs.job("fold0")
    assert (job.lock_file, job.result, job.log(2)) == (
        Path("r/jobs/fold0/.lock"),
        Path("r/jobs/fold0/result.json"),
        Path("r/jobs/fold0/log-2.txt"),
    )


def test_stages_are_found_by_their_number(tmp_path: Path) -> None:
    folder = StagesDir(tmp_path)
    for name in ("stage10", "stage2", "stage0", "stages", "stage1x", "other"):
        (tmp_path / name).mkdir()
    assert [run.path.name for run in folder.all_stages()] == ["stage0", "stage2", "stage10"]
    assert folder.stage(2) in folder.all_stages()
