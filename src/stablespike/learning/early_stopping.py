"""Training that ends when a held-out quantity no longer improves, and hands back the network at its best."""

import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

import jax
from jaxtyping import Array, Int, Key, PyTree

from stablespike.dynamics.arguments import Told, require_whole, shown
from stablespike.learning.training import TrainingError, TrainingInfo, TrainingState, train

History = list[dict[str, Any]]


class Patience(Told):
    """Stop once `quantity`, a column of the history, has not improved for `epochs` epochs.

    Smaller is better unless `rising`. Among equals the first counts as the best.
    """

    quantity: str
    epochs: int
    rising: bool = False

    def __check_init__(self) -> None:
        """Refuse what would stop before it starts."""
        require_whole(1, epochs=self.epochs)
        if not isinstance(self.quantity, str):
            raise ValueError(f"quantity must be the name of a column of the history, not {shown(self.quantity)}.")

    def best_epoch(self, history: History) -> int:
        """The epoch whose network is the best so far."""
        if self.quantity not in history[0]:
            raise ValueError(f"`evaluate` gives {sorted(history[0])}, but patience looks at {self.quantity!r}.")
        values = [row[self.quantity] for row in history]
        if any(value != value for value in values):
            epoch = next(row["epoch"] for row in history if row[self.quantity] != row[self.quantity])
            raise TrainingError(
                f"{self.quantity!r} is not a number after epoch {epoch}: no epoch is the best.", history
            )
        return history[values.index(max(values) if self.rising else min(values))]["epoch"]

    def __call__(self, history: History) -> bool:
        """Whether to stop."""
        return history[-1]["epoch"] - self.best_epoch(history) >= self.epochs


def fit_until(
    patience: Patience,
    step: Callable[..., tuple[TrainingState, TrainingInfo]],
    state: TrainingState,
    data: PyTree,
    *,
    epochs: int,
    batch_size: int,
    evaluate: Callable[[PyTree], dict[str, Any]],
    checkpoint: pathlib.Path | str | None = None,
    identity: str = "",
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[TrainingState, History]:
    """Train as `fit` does, at most `epochs` epochs, until patience is lost; the state is that of the best epoch.

    `evaluate` should look at trials held out of `data` and of the test set (`held_out`). The history reaches to the
    last epoch that was run. Beside a `checkpoint` file its best epoch is kept in one that ends in `.best`; an
    interrupted run goes on bit for bit.
    """
    require_whole(1, epochs=epochs)
    with tempfile.TemporaryDirectory() as folder:
        last = pathlib.Path(checkpoint or pathlib.Path(folder, "checkpoint"))
        best = last.with_name(f"{last.name}.best")

        def run(up_to: int, file: pathlib.Path) -> tuple[TrainingState, History]:
            return train(
                step, state, data, epochs=up_to, batch_size=batch_size, evaluate=evaluate, checkpoint=file,
                identity=identity,
            )  # fmt: skip

        history = run(0, last)[1]
        _keep_if_best(patience, history, last, best)
        for epoch in progress(range(len(history), epochs + 1)):
            if patience(history):
                break
            history = run(epoch, last)[1]
            _keep_if_best(patience, history, last, best)
        wanted = patience.best_epoch(history)
        if wanted == 0:
            return state, history
        trained, kept = run(0, best)
        if kept[-1]["epoch"] != wanted:
            raise ValueError(f"{best} is missing or belongs to another run: delete it and {last}, and train again.")
        return trained, history


def _keep_if_best(patience: Patience, history: History, last: pathlib.Path, best: pathlib.Path) -> None:
    """Copy the checkpoint if its epoch is the best; after an interruption this may have been left undone."""
    if patience.best_epoch(history) == history[-1]["epoch"] > 0:
        partial = best.with_name(f"{best.name}.partial")
        shutil.copyfile(last, partial)
        partial.replace(best)


def held_out(key: Key[Array, ""], trials: int, fraction: float) -> tuple[Int[Array, " kept"], Int[Array, " held"]]:
    """Indices of the trials to train on and of a random `fraction` of them held out for validation."""
    held = round(trials * fraction)
    if not 0 < held < trials:
        raise ValueError(f"holding out {fraction} of {trials} trials leaves none for training or for validation.")
    order = jax.random.permutation(key, trials)
    return order[held:], order[:held]
