"""The least anatomy that a failure is judged by."""

from __future__ import annotations

from scalescope.cost import Anatomy, Positions


def anatomy_with(limit: int | None) -> Anatomy:
    """Return an anatomy whose positions end at `limit`."""
    return Anatomy(
        model_type="x",
        bare_class="X",
        head_class="",
        params=1,
        params_with_head=1,
        hidden=32,
        n_layers=1,
        feed_forward=32,
        vocabulary=100,
        positions=Positions(kind="table" if limit else "none", limit=limit),
    )
