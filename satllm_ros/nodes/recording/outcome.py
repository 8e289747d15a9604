"""What became of a run: the ground's store, sensing's journal and what was heard, put together in the run's record."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from satllm_ros.acquisition.drop_causes import NEVER_SENT
from satllm_ros.acquisition.stamps import clock_of_run
from satllm_ros.data.manifest import CAMERA, Manifest
from satllm_ros.model.spec import ModelSpec
from satllm_ros.nodes.recording.display import around
from satllm_ros.nodes.recording.heard import Heard
from satllm_ros.nodes.wire import records
from satllm_ros.report.record.audit import audit_journal, audit_ledger
from satllm_ros.storage.database import BadDatabaseError
from satllm_ros.storage.frame_journal import JOURNAL_NAME, FrameRow, Journal, read_books, read_journal
from satllm_ros.storage.prediction_store import PredictionStore
from satllm_ros.storage.run_identity import RunMismatchError, read_run

# A camera flies for days: the report then covers its last tiles.
MAX_TILES = 500_000
# When all end, sensing writes its last word within this; a longer wait might cost the report, since whoever ends all
# kills what takes too long.
LAST_WORD_S = 4.0
POLL_PERIOD_S = 0.1


@dataclass(frozen=True)
class KnownSource:
    """What this computer knows of a run's source: sensing's rows of its frames; None: not what it held."""

    rows: Sequence[FrameRow]
    manifest: Manifest | None


class Outcome:
    """Gathers what became of a run; what could not be read is noted in sentences."""

    def __init__(self, heard: Heard, spec: ModelSpec, run_directory: Path, notes: list[str]) -> None:
        self._heard, self._spec, self._directory, self._notes = heard, spec, run_directory, notes

    def await_last_word(self) -> None:
        """When all end, sensing's books are written a little later than we are told to end."""
        path = self._directory / JOURNAL_NAME
        boot_id = self._heard.ledger.boot_id if self._heard.ledger is not None else None
        deadline_s = time.monotonic() + LAST_WORD_S
        while time.monotonic() < deadline_s:
            try:
                books = read_books(path)
            except (OSError, BadDatabaseError):
                return
            if books and books[-1].closed and boot_id in (None, books[-1].boot_id):
                return
            time.sleep(POLL_PERIOD_S)

    def gather(self, store: PredictionStore | None, dropped_records: int) -> KnownSource:
        """Complete the record of the run.

        Parameters
        ----------
        store
            Of the ground; None if it could not be opened.
        dropped_records
            How many of what was heard were forgotten for want of room.
        """
        run, heard = self._heard.run, self._heard
        run.satellites, run.links = heard.satellites, heard.links
        run.tile_height, run.tile_width = self._spec.image_height, self._spec.image_width
        with around("reading the ground's store"):
            self._add_tiles(store)
        with around("accounting for every tile"):
            known = self._add_audit()
        if heard.ledger is not None and not heard.ledger.end_of_stream:
            # Predictions are for a whole bag or folder: a camera, or a run that was interrupted, is not one.
            run.plans = [replace(p, predicted_exact_s=None, predicted_paper_s=None) for p in run.plans]
        if heard.unheard_plan:
            self._notes.append(
                f"sensing flew plan {heard.unheard_plan}, which was not heard here, or refused: what it predicted is"
                " not in this report"
            )
        run.gaps = tuple(self._gaps(dropped_records))
        return known

    def _gaps(self, dropped_records: int) -> Iterator[str]:
        if not self._heard.sessions.accounts:
            yield "sensing was never heard: what it sent and dropped is not known"
        if self._heard.missed_batches:
            yield (
                f"the recorder started after {self._heard.missed_batches} batches were sent: it knows no times of these"
            )
        if dropped_records:
            yield f"of timings and transfers, the oldest {dropped_records} were dropped"
        if self._heard.run.older_tiles:
            yield f"of the oldest {self._heard.run.older_tiles} tiles only the number is reported"

    def _add_tiles(self, store: PredictionStore | None) -> None:
        """What the ground has, of earlier lives of its process too."""
        if store is None:
            return
        run = self._heard.run
        run.tiles = [records.tile_record(tile) for tile in store.read(MAX_TILES)]
        run.older_tiles = max(0, store.count() - len(run.tiles))

    def _add_audit(self) -> KnownSource:
        run, journal = self._heard.run, self._journal()
        run.acquisition_shift_s = self._heard.clocks.acquisition_shift_s(
            self._heard.ledger, journal_is_here=journal is not None
        )
        manifest = self._manifest()
        if journal is not None:
            self._audit_by(journal, manifest)
        else:
            self._audit_by_ledger()
        if run.audit is not None:
            run.dropped, run.in_custody = dict(run.audit.dropped), dict(run.audit.in_custody)
        return KnownSource(journal.rows if journal is not None else (), manifest)

    def _audit_by(self, journal: Journal, manifest: Manifest | None) -> None:
        run, sessions = self._heard.run, self._heard.sessions
        sessions.add_books([records.account_of_books(books) for books in journal.books])
        run.frames = [records.frame_record(row) for row in journal.rows]
        run.acquisition, run.acquisition_reason = clock_of_run(journal.rows)
        run.audit = audit_journal(
            run.frames,
            (tile.key for tile in run.tiles),
            sessions.accounts,
            rereads=self._heard.rereads,
            older_tiles=run.older_tiles,
            # Of a bag that somebody plays, sensing was told.
            frames_total=manifest.frames if manifest is not None else journal.frames_total,
        )
        run.sent_tiles = run.audit.acquired - sum(run.audit.dropped.get(cause, 0) for cause in NEVER_SENT)

    def _audit_by_ledger(self) -> None:
        run, sessions, rereads = self._heard.run, self._heard.sessions, self._heard.rereads
        run.acquisition = "wire"
        run.acquisition_reason = "acquired is as each batch says it: sensing's journal is not on this computer"
        received = len(run.tiles) + run.older_tiles
        run.sent_tiles = sessions.sent()
        if sessions.restarted and not rereads:
            # A life that died may have sent more than it last said.
            run.sent_tiles = max(run.sent_tiles, received)
        if sessions.accounts:
            run.audit = audit_ledger(
                sent=run.sent_tiles,
                received=received,
                dropped_before=sessions.dropped_before(),
                accounts=sessions.accounts,
                rereads=rereads,
            )

    def _journal(self) -> Journal | None:
        """Sensing's journal, if it is on this computer."""
        try:
            return read_journal(self._directory / JOURNAL_NAME)
        except FileNotFoundError:
            return None
        except (OSError, BadDatabaseError) as error:
            self._notes.append(str(error))
            return None

    def _manifest(self) -> Manifest | None:
        """What the bag or folder held when the run began, if it began on this computer."""
        try:
            run = read_run(self._directory)
        except (OSError, RunMismatchError) as error:
            self._notes.append(str(error))
            return None
        source = run.facts.source if run is not None else None
        return source if source is not None and source.kind != CAMERA else None
