"""Opening all that a study needs, and closing it however the study ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalescope.errors import MissingExtraError, RunError
from scalescope.workflow.progress import Watch, Watcher

if TYPE_CHECKING:
    from scalescope.studies.request import Request
    from scalescope.studies.study import Study


def requested(given: Mapping[str, Any], config: Path | None = None) -> Request:
    """Return what a study is asked for.

    Parameters
    ----------
    given
        Fields of the request; those that are None are not given, and the file or the default decides.
    config
        A TOML file with more of them.

    Raises
    ------
    InputError
        If a name or a value is none that a study has.
    """
    from scalescope.studies.config import request_from

    return request_from({name: value for name, value in given.items() if value is not None}, config)


@contextmanager
def opened(request: Request, watch: Watch | None = None) -> Iterator[Study]:
    """Open the folder, the corpora and the executor of a study, and close them however it ends."""
    if find_spec("torch") is None:
        raise MissingExtraError("torch", "train")
    from scalescope.executors import open_executor
    from scalescope.studies.opening import open_study
    from scalescope.studies.settings import Settings

    power, settings = request.power, request.settings(Settings)
    with open_executor(request.executor, address=request.address) as executor:
        work = open_study(
            request.out,
            settings,
            executor,
            source=request.corpus,
            tokenizer=request.tokenizer,
            text_column=request.text_column,
            extend=request.extend,
        )
        with work.ledger:
            work.power = power
            work.watch = Watcher(work, watch) if watch is not None else work.watch
            yield work


def check_any(work: Study) -> None:
    """Refuse a study whose trials gave no point; a `RunError` with the first cause."""
    from scalescope.studies.collect import TUNE

    if all(point.data["phase"] == TUNE for point in work.ledger.points()):
        causes = [trial.cause for trial in work.ledger.trials("failed")]
        raise RunError(
            f"no trial gave a point{': ' + causes[0] if causes else ''}",
            hint="Look at the causes in the ledger, or lower the learning rate.",
        )
