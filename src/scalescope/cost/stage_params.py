"""The parameters of single layers and of both ends, as a layout cuts them."""

from __future__ import annotations

from dataclasses import dataclass

from scalescope.cost.groups import mixer_costs
from scalescope.cost.layout import Layout
from scalescope.cost.shape import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Parameters of a layer, or of what stands once."""

    tensor: int = 0
    """That tensor parallelism divides."""
    norms: int = 0
    """Of norms that read the stream: every rank of tensor parallelism has them whole."""
    head_norms: int = 0
    """Of norms of heads, whole on every rank too."""
    whole: int = 0
    """Other parameters that every rank has: routers and biases of what is added to the stream."""
    experts: int = 0
    """Routed experts, all of them."""

    def of_rank(self, tp: int) -> int:
        """Return what one rank has without the routed experts."""
        return self.tensor // tp + self.norms + self.head_norms + self.whole


def layer_params(shape: Shape, layer: int) -> Cut:
    """Return the parameters of one layer, counted from 0."""
    cost = mixer_costs(shape)[layer]
    biases = shape.width if shape.biases and cost.role == "attention" else 0
    tensor, whole = cost.matrices(shape) + cost.elementwise(shape) - biases, biases
    norm = shape.width * (2 if shape.norm == "layer" else 1)
    matrices, norms, routed = 3 if shape.gated else 2, norm, 0
    experts = shape.experts
    if experts is not None and experts.has(layer):
        one = matrices * shape.width * experts.width
        tensor, whole = tensor + experts.shared * one, whole + shape.width * experts.count
        norms, routed = norms + norm, experts.count * one
    elif shape.feed_forward:
        inner = shape.feed_forward * (matrices - 1) if shape.biases else 0
        tensor += matrices * shape.width * shape.feed_forward + inner
        norms, whole = norms + norm, whole + (shape.width if shape.biases else 0)
    return Cut(tensor=tensor, norms=norms, head_norms=cost.norms(shape), whole=whole, experts=routed)


def end_params(shape: Shape, *, first: bool, last: bool) -> Cut:
    """Return the parameters that stand before the first layer, after the last, or both."""
    norm = shape.width * (2 if shape.norm == "layer" else 1)
    before = shape.params_embedding if shape.patches is None else 0
    if first and shape.patches is not None:
        before = shape.patches.numbers * shape.width + (shape.width if shape.biases else 0)
    norms = (norm if last else 0) + (norm if first and shape.embedding_norm else 0)
    head = shape.params_head if last and not (shape.tied and first) else 0
    return Cut(tensor=(before if first else 0) + head, norms=norms)


def own_layers(shape: Shape, layout: Layout, stage: int) -> tuple[int, ...]:
    """Return the numbers of the layers of one pipeline rank; virtual stages are dealt round."""
    each = shape.n_layers // (layout.pp * layout.virtual_stages)
    return tuple(layer for layer in range(shape.n_layers) if layer // each % layout.pp == stage)
