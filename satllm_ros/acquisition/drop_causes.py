"""Why tiles are dropped, by the names of the ledger."""

from __future__ import annotations

# Causes by which tiles are dropped before they are in custody.
NEVER_SENT = (
    "unreadable_image",
    "refused_pixels",
    "frame_too_small",
    "source_damaged",
    "source_changed",
    "camera_overflow",
)


# Causes in the ledger by which tiles were dropped; the others tell why batches were sent again.
DROP_CAUSES = (*NEVER_SENT, "attempts_exhausted", "refused_by_ground")
