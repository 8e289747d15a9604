"""Starts flights that can be disturbed, each in a folder and a DDS domain of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaos.rig import BATCH_TILES, BLOCK_S, MEMORY_BYTES, PROPAGATION_S, RATE_BPS, SATELLITES, Rig
from chaos.workshop import Cargo, Workshop
from flight import constellation, started, up, write_constellation
from observer import Observer


class Hangar:
    """Starts flights, each in a folder and a DDS domain of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._flights = 0
        self.workshop = Workshop(folder / "workshop")

    def folder(self, name: str) -> Path:
        """A new folder for what a scenario needs besides its flight."""
        made = self._folder / f"{name.replace(' ', '_')}_{self._flights}"
        made.mkdir(parents=True)
        return made

    @contextmanager
    def fly(self, cargo: Cargo, *options: str, block_s: float = BLOCK_S, **changes: Any) -> Iterator[Rig]:
        """A flight of the cargo that has its first plan, ended with the block.

        `options` go to `satllm up`, `changes` into the constellation file.
        """
        self._flights += 1
        folder = self._folder / f"flight_{self._flights}"
        folder.mkdir(parents=True)
        link = {"rate_bps": RATE_BPS, "propagation_s": PROPAGATION_S}
        settled = {
            "batch_tiles": BATCH_TILES,
            "memory_bytes": MEMORY_BYTES,
            "upload_encoding": "rgb8",
            "codecs": ["raw"],
            "links": dict.fromkeys(("upload", "isl", "s2g"), link),
        }
        content = constellation(cargo.material, [block_s] * len(SATELLITES), **(settled | changes))
        with started(up(write_constellation(folder, content), *options), folder) as flight:
            with Observer(flight) as observer:
                rig = Rig(flight, observer)
                try:
                    # On a busy machine the planner begins with whoever is there.
                    rig.until(lambda: rig.committed and len(rig.plan.satellites) > 1, "a plan over several satellites")
                    yield rig
                finally:
                    rig.processes.close()
