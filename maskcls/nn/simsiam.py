"""SimSiam: two views of a photo, a predictor on one side, no gradient on the other; no labels, no negative pairs.

B batch, D numbers of an embedding.

Reference: Chen and He 2020, "Exploring Simple Siamese Representation Learning", arXiv:2011.10566. Two layers of the
projector instead of three, and no batch norm at its output (their table 3b, within one point), so that a collapse is
one constant vector, which `embedding_spread` sees.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PROJECTED = 256
COLLAPSED = 0.2  # spread of the embeddings, below which they are nearly one direction
BOTTLENECK = 64  # of the predictor: a quarter, as in the paper


class SimSiam(nn.Module):
    """A trunk with projector and predictor.

    trunk      images (B, 3, H, W) to features (B, features).
    predictor  False: leave it out, which collapses; for the test of the watch.
    """

    def __init__(self, trunk: nn.Module, features: int, *, predictor: bool = True) -> None:
        """Build projector and predictor with fresh weights from torch's global generator."""
        super().__init__()
        self.trunk = trunk
        self.projector = nn.Sequential(
            nn.Linear(features, PROJECTED, bias=False),
            nn.BatchNorm1d(PROJECTED),
            nn.ReLU(inplace=True),
            nn.Linear(PROJECTED, PROJECTED),
        )
        self.predictor: nn.Module = nn.Identity()
        if predictor:
            self.predictor = nn.Sequential(
                nn.Linear(PROJECTED, BOTTLENECK, bias=False),
                nn.BatchNorm1d(BOTTLENECK),
                nn.ReLU(inplace=True),
                nn.Linear(BOTTLENECK, PROJECTED),
            )

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embeddings and what the predictor makes of them, both (B, D)."""
        embedding_BD = self.projector(self.trunk(images_BCHW))
        return embedding_BD, self.predictor(embedding_BD)


def simsiam_loss(p1_BD: Tensor, z1_BD: Tensor, p2_BD: Tensor, z2_BD: Tensor) -> Tensor:
    """Return -(cos(p1, z2) + cos(p2, z1)) / 2, the mean over the batch; no gradient flows into z.

    p1_BD, z1_BD  prediction and embedding of the first view; p2_BD, z2_BD: of the second.

    >>> a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    >>> simsiam_loss(a, a, a, b).item(), simsiam_loss(a, a, b, b).item()  # cosines 0 and 1; 0 and 0
    (-0.5, -0.0)
    """
    first = F.cosine_similarity(p1_BD, z2_BD.detach(), dim=1)
    second = F.cosine_similarity(p2_BD, z1_BD.detach(), dim=1)
    return -(first.mean() + second.mean()) / 2


@torch.no_grad()
def embedding_spread(embedding_BD: Tensor) -> float:
    """Return how different the directions of the embeddings are: 0 for one direction, about 1 for random ones.

    It is the standard deviation of each number of the normalised embeddings over the batch, the mean over the numbers,
    times the root of D.
    """
    unit_BD = F.normalize(embedding_BD.float(), dim=1)
    return float(unit_BD.std(dim=0, correction=0).mean() * embedding_BD.shape[1] ** 0.5)
