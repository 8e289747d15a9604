"""What a training tells while it runs."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from satllm_ros.training.evaluation.accuracy import Accuracy


class Watch:
    """Told of a training's progress; this one keeps it to itself."""

    def start(self, epochs: int, images: int, epochs_done: int) -> None:
        """Training begins or continues; `images` an epoch."""

    def batch(self, images: int, loss: float) -> None:
        """A batch has been trained on."""

    def epoch(self, epoch: int, loss: float, accuracy: float) -> None:
        """Epoch `epoch` (from 0) has ended with this mean loss and held-out accuracy (share of 1)."""


class ProgressBar(Watch):
    """A progress bar over the whole training, with images per second, and a line for each epoch."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]} images/s  loss {task.fields[loss]}"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=console,
        )
        self._epochs = 0

    def __enter__(self) -> "ProgressBar":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def start(self, epochs: int, images: int, epochs_done: int) -> None:
        self._epochs = epochs
        self._task = self._progress.add_task(
            "train",
            total=epochs * images,
            completed=epochs_done * images,
            epoch=min(epochs_done + 1, epochs),
            epochs=epochs,
            rate="-",
            loss="-",
        )

    def batch(self, images: int, loss: float) -> None:
        speed = self._progress.tasks[self._task].speed
        self._progress.update(
            self._task, advance=images, loss=f"{loss:.3f}", rate="-" if speed is None else f"{speed:.0f}"
        )

    def epoch(self, epoch: int, loss: float, accuracy: float) -> None:
        self._progress.console.print(
            f"epoch {epoch + 1}/{self._epochs}: loss {loss:.4f}, held-out accuracy {100 * accuracy:.2f} %"
        )
        self._progress.update(self._task, epoch=min(epoch + 2, self._epochs))


def accuracy_table(rows: list[Accuracy], title: str) -> Table:
    """Accuracies with their intervals, one line a class."""
    table = Table("class", title=title)
    for heading in ("correct", "images", "accuracy [%]", "95 % interval [%]"):
        table.add_column(heading, justify="right")
    for row in rows:
        low, high = row.interval
        table.add_row(
            row.name,
            f"{row.correct:,}",
            f"{row.images:,}",
            f"{100 * row.share:.1f}",
            f"{100 * low:.1f}-{100 * high:.1f}",
        )
    return table
