"""The composition of the losses, against a loop over pixels in double precision with linear "networks"."""

import numpy as np
import pytest
import torch

from maskcls.synth.cyclegan.cycle_losses import CycleCritics, CycleGenerators, cycle_generator_losses, patch_critic_loss

A = np.array([[1.0, -2.0], [0.5, 0.25]])  # images as rows of two numbers: two of the source
B = np.array([[0.75, 1.5], [-1.0, 2.0]])  # and two of the target
THERE, BACK = 0.5, -3.0  # G(x) = 0.5 x + 1, F(x) = -3 x + 2
SOURCE, TARGET = 2.0, -0.5  # D(x) = 2 sum(x), -0.5 sum(x)


def there(x: float) -> float:
    return THERE * x + 1


def back(x: float) -> float:
    return BACK * x + 2


def tensors() -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.tensor(images, dtype=torch.float64).reshape(2, 1, 1, 2) for images in (A, B))  # type: ignore[return-value]


GENERATORS = CycleGenerators(lambda x: THERE * x + 1, lambda x: BACK * x + 2)
CRITICS = CycleCritics(lambda x: SOURCE * x.sum((1, 2, 3)), lambda x: TARGET * x.sum((1, 2, 3)))


def expected(cycle: float, identity: float) -> dict[str, float]:
    adversarial, there_and_back, same = 0.0, 0.0, 0.0
    for row in A:
        adversarial += (TARGET * sum(there(x) for x in row) - 1) ** 2 / 2
        there_and_back += sum(abs(back(there(x)) - x) for x in row) / 4
        same += sum(abs(back(x) - x) for x in row) / 4
    for row in B:
        adversarial += (SOURCE * sum(back(x) for x in row) - 1) ** 2 / 2
        there_and_back += sum(abs(there(back(x)) - x) for x in row) / 4
        same += sum(abs(there(x) - x) for x in row) / 4
    return {"adversarial": adversarial, "cycle": cycle * there_and_back, "identity": cycle * identity * same}


@pytest.mark.parametrize(("cycle", "identity"), [(10.0, 0.5), (3.0, 2.0)])
def test_the_losses_are_those_of_a_loop(cycle: float, identity: float) -> None:
    losses, fakes = cycle_generator_losses(*tensors(), GENERATORS, CRITICS, cycle=cycle, identity=identity)

    assert {name: float(loss) for name, loss in losses.items()} == pytest.approx(expected(cycle, identity), rel=1e-12)
    assert fakes.target_BCHW.flatten().tolist() == pytest.approx([there(x) for x in A.flatten()], rel=1e-12)
    assert fakes.source_BCHW.flatten().tolist() == pytest.approx([back(x) for x in B.flatten()], rel=1e-12)


@pytest.mark.parametrize(("cycle", "identity"), [(10.0, 0.0), (0.0, 0.5)])
def test_an_identity_of_weight_zero_is_left_out(cycle: float, identity: float) -> None:
    losses, _ = cycle_generator_losses(*tensors(), GENERATORS, CRITICS, cycle=cycle, identity=identity)
    wanted = expected(cycle, identity)
    del wanted["identity"]

    assert {name: float(loss) for name, loss in losses.items()} == pytest.approx(wanted, rel=1e-12)


def test_gradients_of_the_generators_are_finite_differences() -> None:
    def total(scale: torch.Tensor) -> torch.Tensor:
        generators = CycleGenerators(lambda x: scale * x + 1, lambda x: BACK * x + 2)
        losses, _ = cycle_generator_losses(*tensors(), generators, CRITICS, cycle=10, identity=0.5)
        return torch.stack(list(losses.values())).sum()

    assert torch.autograd.gradcheck(total, torch.tensor(THERE, dtype=torch.float64, requires_grad=True))


def test_the_loss_of_a_critic_is_half_its_two_distances() -> None:
    real, fake = torch.tensor([[2.0, 0.0]]), torch.tensor([[3.0], [1.0]])

    # ((2 - 1)^2 + (0 - 1)^2) / 2 = 1 and (3^2 + 1^2) / 2 = 5
    assert float(patch_critic_loss(real, fake)) == 3.0
