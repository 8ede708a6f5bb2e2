"""A run as one torch module: from photos of any size to probabilities and classes.

B photos, H height, W width, C classes of a task, G classes of another task that it depends on, J joint classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.compute.plan import Execution
from maskcls.engine.device import normalise
from maskcls.engine.infer import Predictor
from maskcls.engine.tta import views_of
from maskcls.errors import ResultError
from maskcls.export.graph_decision import DecisionLayer
from maskcls.export.graph_names import CHOSEN, INPUT, JOINT_OUTPUT, check_output_names, output_names
from maskcls.export.graph_resize import crop_and_resize
from maskcls.labels import LabelSpace
from maskcls.machine import is_memory_error
from maskcls.nn.heads import JOINT, Head, probabilities
from maskcls.results.predicted.view_means import LEAST_PROBABILITY
from maskcls.runs.decision import Decision
from maskcls.training.predicting.run_model import RunModel
from maskcls.viewnames import view_mean

EXAMPLE = (2, 70, 50, 3)  # batch and sides are dynamic, so they must differ and be above 1


class Source(NamedTuple):
    """Networks whose product is one prediction: of one fold and seed. Their positions by task; "" for all tasks."""

    members: Mapping[str, int]


class WholeModel(nn.Module):
    """All networks and views of a run, with everything before and after them.

    networks  in eval mode; batch norms may be fused.
    sources   which of the networks are multiplied, see `Source`; the sources are averaged.
    views     name of test-time views, see `viewnames`.
    decision  None: the most probable joint class.
    """

    def __init__(
        self,
        predictors: Sequence[Predictor],
        sources: Sequence[Source],
        space: LabelSpace,
        *,
        views: str,
        decision: Decision | None = None,
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(predictor.network for predictor in predictors)
        self.heads = [predictor.network.specs for predictor in predictors]
        self.specs = [predictor.spec for predictor in predictors]
        self.spaces = [predictor.space for predictor in predictors]
        self.sources, self.space, self.views = tuple(sources), space, views
        self.decide = DecisionLayer(space, decision)
        check_output_names(space)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, in the order of `forward`'s result."""
        return output_names(self.space)

    def forward(self, photos: Tensor) -> dict[str, Tensor]:
        """Return {name: tensor}, in the order of `output_names`.

        photos  uint8 (B, H, W, 3) RGB, upright, of any size.

        By task name, probabilities (B, C) float32, and `joint` (B, J) float32: the means that `predict` gives, without
        temperatures. By name and `_class`, the classes that are decided on, (B,) int64.
        """
        joint_BJ = self.joint(photos)
        chosen_B = self.decide(joint_BJ)
        classes = task_classes(chosen_B, self.space) | {JOINT_OUTPUT: chosen_B}
        probs = marginals(joint_BJ, self.space) | {JOINT_OUTPUT: joint_BJ}
        return probs | {name + CHOSEN: chosen for name, chosen in classes.items()}

    def joint(self, photos: Tensor) -> Tensor:
        """Return joint probabilities (B, J) float32, the mean over sources and views."""
        images = {spec: self._views(photos, spec) for spec in dict.fromkeys(self.specs)}
        probs = [
            joint_of(network(images[spec]), heads, space)
            for network, heads, spec, space in zip(self.networks, self.heads, self.specs, self.spaces, strict=True)
        ]
        count = len(views_of(self.views))
        means = [self._mean(prob.reshape(count, photos.shape[0], prob.shape[1])) for prob in probs]
        parts = [
            self._composed({task: means[place] for task, place in source.members.items()}) for source in self.sources
        ]
        return torch.stack(parts).mean(0)

    def _views(self, photos: Tensor, spec: ViewSpec) -> Tensor:
        """Return the normalised images (views * B, 3, h, w) of one spec."""
        pixels = crop_and_resize(photos, crop=spec.crop, centre=spec.crop_centre, size=spec.size)
        images = normalise(pixels, mean=spec.mean, std=spec.std, execution=Execution(memory_format="contiguous"))
        return torch.cat([view(images) for view in views_of(self.views)])

    def _mean(self, prob_VBJ: Tensor) -> Tensor:
        """Return the mean over the views, as `mean_over_views` does."""
        if view_mean(self.views) == "arithmetic":
            return prob_VBJ.mean(0)
        return prob_VBJ.clamp(min=LEAST_PROBABILITY).log().mean(0).softmax(1)

    def _composed(self, prob: Mapping[str, Tensor]) -> Tensor:
        return prob[""] if list(prob) == [""] else composed(prob, {}, self.space)


def whole_model(model: RunModel) -> WholeModel:
    """Return the module that computes what this run model predicts; it shares the weights.

    Open the run model with device.type=cpu and device.precision=fp32. Raises UsageError for tasks whose outputs would
    have the same name.
    """
    places: dict[tuple[int, int], dict[str, int]] = {}
    for place, network in enumerate(model.networks):
        places.setdefault((network.fold, network.seed), {})[network.task] = place
    sources = [Source(places[key]) for key in sorted(places)]
    return WholeModel(model.ready, sources, model.space, views=model.cfg.predict.views, decision=model.decision).eval()


def dynamic_program(module: nn.Module) -> ExportedProgram:
    """Trace a whole model with torch.export, for photos uint8 (B, H, W, 3) of any B, H and W.

    Raises ResultError when an operation of the backbone cannot be traced.
    """
    sizes = {0: Dim("batch"), 1: Dim("height"), 2: Dim("width")}
    example = torch.zeros(EXAMPLE, dtype=torch.uint8)
    try:
        return torch.export.export(module, (example,), dynamic_shapes={INPUT: sizes}, strict=False)
    except Exception as error:  # anything: an unknown operation, a size that decides a branch
        if is_memory_error(error):
            raise
        raise not_exportable(error) from error


def not_exportable(error: Exception) -> ResultError:
    """Return what the user reads when torch cannot export the networks of a run."""
    first = next(iter(str(error).strip().splitlines()), "")
    fix = "use another backbone, or the run folder itself"
    return ResultError("the networks of this run cannot be exported", got=f"{type(error).__name__}: {first}", fix=fix)


def joint_of(logits: Mapping[str, Tensor], heads: Mapping[str, Head], space: LabelSpace) -> Tensor:
    """Return joint probabilities (B, J) of one network, as `infer.joint_probabilities` does."""
    prob = {name: probabilities(heads[name], value) for name, value in logits.items()}
    if JOINT in prob:
        return prob[JOINT][:, 0]
    given = {name: head.given for name, head in heads.items() if head.given}
    return composed({name: value if name in given else value[:, 0] for name, value in prob.items()}, given, space)


def composed(prob: Mapping[str, Tensor], given: Mapping[str, str], space: LabelSpace) -> Tensor:
    """Multiply probabilities per task into joint probabilities (B, J), as `LabelSpace.compose` does."""
    factors = [_factor(name, prob[name], given.get(name), space) for name in space.names]
    product = factors[0]
    for factor in factors[1:]:
        product = product * factor
    rows = product.flatten(1)
    return rows / rows.sum(1, keepdim=True)


def _factor(name: str, prob: Tensor, given: str | None, space: LabelSpace) -> Tensor:
    """Return one task's probabilities with an axis per task; an axis it does not depend on has length 1."""
    axis = space.names.index(name)
    shape = [1] * len(space.tasks)
    shape[axis] = space.shape[axis]
    if given is not None:
        other = space.names.index(given)
        shape[other] = space.shape[other]
        prob = prob if other < axis else prob.transpose(1, 2)
    return prob.reshape(prob.shape[0], *shape)


def marginals(joint_BJ: Tensor, space: LabelSpace) -> dict[str, Tensor]:
    """Sum joint probabilities into probabilities per task, {task: (B, C)}, as `LabelSpace.marginals` does."""
    grid = joint_BJ.reshape(-1, *space.shape)
    axes = range(1, 1 + len(space.tasks))
    others = {name: [a for a in axes if a != axis] for axis, name in zip(axes, space.names, strict=True)}
    return {name: grid.sum(summed) if summed else grid for name, summed in others.items()}


def task_classes(joint_B: Tensor, space: LabelSpace) -> dict[str, Tensor]:
    """Split joint classes (B,) int64 into classes per task."""
    classes, rest = {}, joint_B
    for task in reversed(space.tasks):
        classes[task.name] = rest % len(task.classes)
        rest = torch.div(rest, len(task.classes), rounding_mode="floor")
    return {name: classes[name] for name in space.names}
