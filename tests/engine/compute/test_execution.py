"""How networks are computed: every option reaches the arithmetic, in training, validation and prediction alike."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from tiny import PLAIN, experiment, log_lines, outcome, resume, train
from torch import Tensor, nn

from maskcls.cli import run_app
from maskcls.engine import step as stepping
from maskcls.engine.compute import free_memory, memory
from maskcls.engine.compute.candidates import Candidate, Workload
from maskcls.engine.compute.choose import Choice
from maskcls.engine.compute.measure import untimed
from maskcls.engine.compute.plan import Execution, Plan
from maskcls.engine.fit import EpochResult, fit, validate_epoch, validation_reader
from maskcls.engine.session import Session, open_session
from maskcls.engine.step import Tick
from maskcls.engine.step_plan import FoldRows
from maskcls.show.terminal.progress import Reporter
from maskcls.training import fold as training
from maskcls.training import plans
from maskcls.training import prediction as predicting
from maskcls.training.plans import fresh_network

SHORT = ("train.epochs=1", "--folds", "0")
EXAMPLE = 2  # images that only show the way through a network


def is_last(tensor: Tensor) -> bool:
    """Tell whether images or kernels larger than a pixel have their channels last."""
    return tensor.is_contiguous(memory_format=torch.channels_last)


@dataclass
class Seen:
    """What the first convolution met in training (True) and in evaluation (False)."""

    layouts: dict[bool, set[bool]] = field(default_factory=lambda: {True: set(), False: set()})
    dtypes: dict[bool, set[torch.dtype]] = field(default_factory=lambda: {True: set(), False: set()})
    lengths: dict[bool, list[int]] = field(default_factory=lambda: {True: [], False: []})

    def watch(self, network: nn.Module) -> None:
        """Follow the network and every copy of it."""

        def hook(conv: Any, args: tuple[Tensor], output: Tensor) -> None:
            if len(args[0]) > EXAMPLE:
                self.layouts[conv.training] |= {is_last(args[0]), is_last(conv.weight)}
                self.dtypes[conv.training].add(output.dtype)
                self.lengths[conv.training].append(len(args[0]))

        next(module for module in network.modules() if isinstance(module, nn.Conv2d)).register_forward_hook(hook)


@dataclass
class Opened:
    """The sessions a command opened, and what their networks met."""

    seen: Seen
    sessions: list[Session]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Watch every session that `train` and `resume` open."""
    made = Opened(Seen(), [])

    def watched(network: Any, *args: Any, **more: Any) -> Session:
        made.seen.watch(network)  # before the average is copied from it
        made.sessions.append(open_session(network, *args, **more))
        return made.sessions[-1]

    monkeypatch.setattr(training, "open_session", watched)
    return made


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """The networks torch.compile was asked for, which are used as they are."""
    asked: list[nn.Module] = []

    def record(network: nn.Module) -> nn.Module:
        asked.append(network)
        return network

    monkeypatch.setattr(torch, "compile", record)
    return asked


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of threads torch was asked for, while it keeps to its own."""
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    return asked


# ---- one session -----------------------------------------------------------------------------------------------------


def session_of(drawn: Path, plan: Plan, *overrides: str) -> tuple[Session, Any, Seen]:
    one = experiment(drawn, *PLAIN, *overrides).members[0]
    network, seen = fresh_network(one, 0, 0)[0], Seen()
    seen.watch(network)
    return open_session(network, one.cfg, one.space, Accelerator(cpu=True), plan, total_steps=9), one, seen


def rows_of(drawn: Path, *overrides: str, bare: bool = False) -> FoldRows:
    plan = experiment(drawn, *overrides)
    return plan.rows(plan.members[0], 0, bare=bare)


@pytest.mark.parametrize("layout", ["channels_last", "contiguous"])
def test_weights_and_their_average_have_the_layout(drawn: Path, layout: str) -> None:
    session, _, _ = session_of(drawn, Plan(Execution(memory_format=layout)), "average.decay=0.9")
    assert session.average is not None
    for network in (session.network, session.average.module):
        kernels = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d) and m.weight[0, 0].numel() > 1]
        found = {is_last(weight) for weight in kernels if weight.shape[1] > 1}
        assert found == {layout == "channels_last"}
    moments_like = [torch.empty_like(p) for p in session.network.parameters() if p.ndim == 4 and p.shape[1] > 1]
    assert {is_last(m) for m in moments_like if m[0, 0].numel() > 1} == {layout == "channels_last"}


def test_training_and_validation_are_each_computed_in_their_own_way(drawn: Path) -> None:
    for train_way, infer_way in [
        (Execution("bf16", "channels_last"), Execution("fp32", "contiguous")),
        (Execution("fp32", "contiguous"), Execution("bf16", "channels_last")),
    ]:
        session, one, seen = session_of(drawn, Plan(train_way, infer_way), "train.epochs=1")
        for _ in fit(session, rows_of(drawn, *PLAIN), one.cfg, key=(0,)):
            pass
        for training_mode, way in ((True, train_way), (False, infer_way)):
            want = torch.bfloat16 if way.precision == "bf16" else torch.float32
            assert seen.dtypes[training_mode] == {want}
            assert seen.layouts[training_mode] == {way.memory_format == "channels_last"}
        assert all(p.dtype == torch.float32 for p in session.network.parameters())  # bf16 is for passes alone


def test_autocast_is_left_out_for_float32() -> None:
    cpu = torch.device("cpu")
    for name, dtype in {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}.items():
        with Execution(name).autocast(cpu):
            assert torch.is_autocast_enabled("cpu") == (dtype is not None)
            assert dtype is None or torch.get_autocast_dtype("cpu") == dtype


def test_a_compiled_network_is_the_one_that_trains(drawn: Path, compiled: list[nn.Module]) -> None:
    session, _, _ = session_of(drawn, Plan(Execution(compile=True)))
    assert compiled == [session.network]
    compiled.clear()
    session_of(drawn, Plan())
    assert compiled == []


# ---- where the train view is drawn -----------------------------------------------------------------------------------

LIVELY = (
    *("model.backbone=test_convnext", "transforms.hflip=0.5", "transforms.geometry=1", "transforms.colour=0.5"),
    *(
        "transforms.cutout=0.5",
        "average.kind=none",
        "optim.clip_norm=null",
        "schedule.warmup_epochs=0",
        "schedule.end_share=1",
    ),
    *("optim.lr=0.03", "train.epochs=2", "train.batch_size=64"),
)


def descended(drawn: Path, rows: FoldRows) -> tuple[Tensor, list[float]]:
    """Train two steps of plain gradient descent, whose result depends smoothly on the images; weights and losses."""
    one = experiment(drawn, *LIVELY).members[0]
    session = open_session(
        fresh_network(one, 0, 0)[0], one.cfg, one.space, Accelerator(cpu=True), Plan(), total_steps=9
    )
    group = {"params": list(session.network.parameters()), "lr_scale": 1.0}
    session.optimizer = torch.optim.SGD([group], lr=0.03)
    results = [e for e in fit(session, rows, one.cfg, key=(0,)) if isinstance(e, EpochResult)]
    flat = torch.cat([p.detach().flatten() for p in session.network.parameters()])
    return flat, [result.train["loss"] for result in results]


def test_device_and_host_draw_the_same_images(drawn: Path) -> None:
    """Levels are rounded on the host alone, so images differ by about a level of 255; what augmentation does at all
    is many times as much."""
    host, host_loss = descended(drawn, rows_of(drawn, *LIVELY))
    device, device_loss = descended(drawn, rows_of(drawn, *LIVELY, bare=True))
    still = ("transforms.hflip=0", "transforms.geometry=0", "transforms.colour=0", "transforms.cutout=0")
    plain, _ = descended(drawn, rows_of(drawn, *LIVELY, *still))
    apart, moved = float((host - device).norm()), float((host - plain).norm())
    assert 0 < apart < 0.05 * moved
    assert device_loss == pytest.approx(host_loss, abs=1e-3)


def test_validation_is_never_augmented(drawn: Path) -> None:
    host, bare = rows_of(drawn, *LIVELY), rows_of(drawn, *LIVELY, bare=True)
    _, one, _ = session_of(drawn, Plan())
    losses = []
    for rows in (host, bare):
        session, _, _ = session_of(drawn, Plan())
        reader = validation_reader(rows, one.cfg, session.accelerator)
        losses.append(validate_epoch(session, rows, reader)[0]["loss"])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("where", ["host", "device"])
def test_where_images_are_augmented_is_as_asked(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    counts: list[int] = []
    real = stepping.augment_on_device

    def counted(images: Tensor, *args: Any) -> Tensor:
        counts.append(len(images))
        return real(images, *args)

    monkeypatch.setattr(stepping, "augment_on_device", counted)
    assert train(drawn, tmp_path / "run", *SHORT, f"device.augment={where}") == 0
    assert counts == ([16, 16, 10] if where == "device" else [])
    counts.clear()
    assert train(drawn, tmp_path / "dry", *SHORT, f"device.augment={where}", "--dry-run") == 0
    assert counts == ([16, 16, 10] * 2 if where == "device" else [])  # the forecast is of the same work


# ---- from the options to the arithmetic ------------------------------------------------------------------------------


def test_every_option_reaches_the_training(
    drawn: Path,
    tmp_path: Path,
    opened: Opened,
    compiled: list[nn.Module],
    threads: list[int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """42 rows in steps of 16, 16 and 10, each in 4 pieces."""
    words = ("device.precision=bf16", "device.memory_format=contiguous", "device.compile=on", "train.accumulate=4")
    assert train(drawn, tmp_path / "run", *SHORT, *words, "device.threads=2", "model.backbone=test_convnext") == 0
    (session,) = opened.sessions
    assert compiled == [session.network]
    assert opened.seen.dtypes == {True: {torch.bfloat16}, False: {torch.bfloat16}}
    assert opened.seen.layouts == {True: {False}, False: {False}}
    assert opened.seen.lengths[True] == [4] * 8 + [3] * 4
    assert threads[:2] == [2, 2]  # when the device is started, and by the plan
    told = "chosen: bf16 contiguous compiled, 2 threads, steps in 4 pieces to fit into memory"
    assert told in " ".join(capsys.readouterr().err.split())
    way = {"precision": "bf16", "memory_format": "contiguous"}
    assert json.loads((tmp_path / "run" / "env.json").read_text())["plans"] == {
        "": {
            "train": way | {"compile": True},
            "infer": way | {"compile": False},
            "threads": 2,
            "accumulate": 4,
            "fold_jobs": 1,
        }
    }


def test_a_step_that_does_not_fit_is_cut_into_pieces(
    drawn: Path, tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory for 5 images: a step of 16 takes 4 pieces of 4, and learns what it would at once."""
    monkeypatch.setattr(memory, "kept_bytes", lambda work, batch: batch)
    monkeypatch.setattr(memory, "available_bytes", lambda: 5 / free_memory.MEMORY_SHARE)
    words = (*SHORT, *PLAIN)
    assert train(drawn, tmp_path / "cut", *words) == 0
    assert opened.seen.lengths[True] == [4] * 8 + [3] * 4
    assert opened.sessions[0].plan.accumulate == 4
    monkeypatch.undo()
    assert train(drawn, tmp_path / "whole", *words) == 0
    losses = [log_lines(tmp_path / name / "fold0")[0]["train/loss"] for name in ("cut", "whole")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def chosen(plan: Plan) -> Choice:
    """Return a plan that nothing was measured for."""
    return Choice(plan, untimed(Candidate(plan.train, plan.threads), 16), untimed(Candidate(plan.infer, 1), 16))


@pytest.mark.parametrize("what", ["backbone", "size"])
def test_a_member_has_a_plan_of_its_own(
    drawn: Path, tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    asked: list[tuple[str, tuple[int, int]]] = []

    def planned(work: Workload, *args: Any, **kwargs: Any) -> Choice:
        asked.append((work.name, work.size))
        assert (work.batch, work.images, work.predicted, work.jobs) == (16, 42, 42, 1)
        return chosen(Plan(Execution(memory_format="contiguous" if len(asked) == 3 else "channels_last")))

    monkeypatch.setattr(plans, "choose", planned)
    own = {"backbone": "model.backbone=test_resnet", "size": "transforms.size=[40, 32]"}[what]
    assert train(drawn, tmp_path / "run", *SHORT, "model.heads=separate", f"separate.age.{own}") == 0
    third = ("test_resnet", (32, 32)) if what == "backbone" else ("test_efficientnet", (40, 32))
    assert asked == [("test_efficientnet", (32, 32))] * 2 + [third]
    formats = [session.plan.train.memory_format for session in opened.sessions]
    assert formats == ["channels_last", "channels_last", "contiguous"]


def test_a_run_is_resumed_as_it_was_planned(
    drawn: Path, tmp_path: Path, opened: Opened, threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is measured again, whatever would come of it: the plan in the run folder is what counts."""
    planned = Plan(Execution("fp32", "contiguous"), Execution("bf16", "contiguous"), threads=3, accumulate=2)
    monkeypatch.setattr(plans, "choose", lambda *_, **__: chosen(planned))
    words = ("--folds", "0", "device.memory_format=auto", "device.precision=auto")
    assert train(drawn, tmp_path / "whole", *words) == 0
    shown = Reporter.epoch

    def stop(self: Reporter, title: str, result: Any) -> None:
        if result.epoch == 1:
            raise KeyboardInterrupt
        shown(self, title, result)

    monkeypatch.setattr(Reporter, "epoch", stop)
    run = tmp_path / "run"
    assert train(drawn, run, *words) == 130
    monkeypatch.setattr(Reporter, "epoch", shown)

    def refuse(*args: Any, **kwargs: Any) -> Any:
        pytest.fail("a plan was made anew")

    monkeypatch.setattr(plans, "choose", refuse)
    threads.clear()
    assert resume(run) == 0
    assert threads[:2] == [1, 3]  # as configured, and then by the plan
    assert [session.plan for session in opened.sessions] == [planned] * 3
    assert opened.seen.layouts == {True: {False}, False: {False}}
    assert opened.seen.dtypes == {True: {torch.float32}, False: {torch.bfloat16}}
    assert outcome(run) == outcome(tmp_path / "whole")


def test_a_dry_run_remembers_nothing(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    real = plans.choose

    def noted(*args: Any, remember: bool, **kwargs: Any) -> Any:
        asked.append(remember)
        return real(*args, remember=remember, **kwargs)

    monkeypatch.setattr(plans, "choose", noted)
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "cache"))
    assert train(drawn, tmp_path / "run", *SHORT, "--dry-run", "device.memory_format=auto") == 0
    assert asked == [False]
    assert list(tmp_path.iterdir()) == []


# ---- prediction ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("run") / "run"
    assert train(drawn, made, *SHORT) == 0
    return made


@pytest.mark.parametrize(
    ("words", "want"),
    [
        ((), Execution("fp32", "channels_last")),
        (("device.precision=bf16",), Execution("bf16", "channels_last")),
        (("device.memory_format=contiguous",), Execution("fp32", "contiguous")),
    ],
)
def test_prediction_is_computed_as_asked(
    run: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], want: Execution
) -> None:
    """The submission itself is looked at in test_predict.py, what an execution does to a pass above."""
    found: list[Execution] = []
    real = predicting.infer

    def noted(*args: Any, execution: Execution, **kwargs: Any) -> Any:
        found.append(execution)
        return real(*args, execution=execution, **kwargs)

    monkeypatch.setattr(predicting, "infer", noted)
    output = tmp_path / "s.csv"
    assert run_app(["predict", str(run), "--data", str(drawn), "-o", str(output), *words]) == 0
    assert found == [want]


def test_prediction_measures_what_is_left_open(
    run: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Workload] = []

    def contiguous(work: Workload, *args: Any, **kwargs: Any) -> Execution:
        asked.append(work)
        return Execution("fp32", "contiguous")

    monkeypatch.setattr("maskcls.training.predicting.loaded_networks.infer_execution", contiguous)
    words = ("device.memory_format=auto", "predict.batch_size=24")
    assert run_app(["predict", str(run), "--data", str(drawn), "-o", str(tmp_path / "s.csv"), *words]) == 0
    (work,) = asked
    assert (work.name, work.size, work.batch) == ("test_efficientnet", (32, 32), 24)
    assert work.predicted == 21  # three people in seven photos; one network, one view


def test_ticks_carry_on_in_any_way_of_computing(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses are fetched at every step on a CPU: the mean so far counts all images so far."""
    monkeypatch.setattr(stepping, "TICK_S", 0.0)
    session, one, _ = session_of(drawn, Plan(Execution("bf16")), "train.epochs=1")
    ticks = [e for e in fit(session, rows_of(drawn, *PLAIN), one.cfg, key=(0,)) if isinstance(e, Tick)]
    assert [tick.images for tick in ticks] == [16, 32, 42]
    assert ticks[0].loss == pytest.approx(2.8904, abs=1e-3)  # log 18: heads that know nothing, in bf16 too
