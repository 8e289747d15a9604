"""Keys of each node's /diagnostics and what they mean: one table feeds the messages and docs/diagnostics.md.

A key is there from the first message on, so that whoever watches a counter need not wait for a fault to learn its name.
Counters begin at 0 with a life of the process, those of custody, stores and ground with each configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from satllm_ros.compression.wire.errors import FrameFault
from satllm_ros.protocol.vocabulary import Cause

# Counters of every node that is told plans.
BAD_PLAN, PLAN_FORGED = "bad_plan", "plan_forged"

_REFUSALS = {
    Cause.UNKNOWN_EPOCH: "of a plan that is not known here",
    Cause.BAD_CRC: "whose checksum does not match",
    Cause.FULL: "for want of room, or of a stage that runs",
    Cause.MALFORMED: "that say nothing sensible",
    Cause.INTERNAL: "by an error of this software",
    Cause.NOT_HELD: "that the store does not have",
    Cause.FOREIGN: "of another model or run",
}

_FRAMES = {
    FrameFault.LENGTH: "shorter than any, or not as long as they say",
    FrameFault.MAGIC: "none of ours",
    FrameFault.VERSION: "of an unknown version",
    FrameFault.CHECKSUM: "whose checksum does not match",
    FrameFault.CODEC: "of an unknown codec",
    FrameFault.DTYPE: "of an unknown type of elements",
    FrameFault.FLAGS: "with an unknown flag",
    FrameFault.SETTING: "with a setting that the codec does not offer",
    FrameFault.SHAPE: "with a shape that does not fit the model",
    FrameFault.TOO_LARGE: "with more elements than are allowed",
    FrameFault.SECTIONS: "with lengths that do not add up",
    FrameFault.ARTEFACT: "made with other artefacts",
    FrameFault.CUT: "of a cut for which there are no scales here",
    FrameFault.PAYLOAD: "that do not hold what their header declares",
    FrameFault.NOT_FINITE: "with plain values that are not finite",
}


@dataclass(frozen=True)
class Keys:
    """Meanings by key: counters, which begin at 0, and other values, empty while unknown."""

    counters: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    def filled(self, counts: Mapping[str, int], values: Mapping[str, object]) -> dict[str, str]:
        """Every key with its value of now, in words."""
        known = {**dict.fromkeys(self.values, ""), **dict.fromkeys(self.counters, 0), **values, **counts}
        return {key: str(value) for key, value in known.items()}


def _refused(whose: str, *causes: Cause, prefix: str = "refused") -> dict[str, str]:
    return {f"{prefix}_{cause.name.lower()}": f"{whose}: {_REFUSALS[cause]}" for cause in causes}


# What every node counts.
COMMON = {
    "configure_failed": "Transitions that failed",
    "activate_failed": "the same",
    "deactivate_failed": "the same",
    "cleanup_failed": "the same",
    "incompatible_qos": "Endpoints of others whose quality of service does not match ours: nothing is heard of them",
    "message_lost": "Messages that DDS says were lost on their way here",
    "states_skipped": "Latched states that were replaced before they were read; the newest one counts",
}
_HELLO = {
    "hello_failed": "Errors of this software while saying and hearing hello",
    "hello_stranger": "Hellos of names that are no members of the graph",
    "hello_protocol": "Hellos of a version that does not fit",
    "hello_nonsense": "Hellos that cannot be true",
    "hello_late": "Hellos that came after a newer one",
    "hello_double": "Hellos of a second process by the name of a living one",
    "hello_stuck": "Times that a member was found to say hello while its work stands still",
}
_SENDING = {
    "malformed_link_state": "Words on links that cannot be true",
    "malformed_rate": "Rates of links that are none",
    "pacer_failed": "Errors of this software while sending",
    "sent_already": "Batches asked for while they were on their way",
    "unsent_replaced": "Batches that waited for their link and were replaced by a newer attempt",
    "unsent_dropped": "Batches not sent, for too many before them or a receiver that went; they are sent again later",
    "reception_unheard": "Batches of which no receipt came in time",
}
_HOP = {
    "hop_resent": "Messages sent again since no receipt came",
    "hop_given_up": "Messages sent again in vain; custody sends them again",
    "hop_let_go": "Messages no copy was kept of, for want of room",
    "hop_superseded": "Copies let go since a later attempt was sent",
    "hop_deaf": "Copies let go at once, to a receiver of which nothing is heard",
    "hop_unknown_receipt": "Receipts of what was not sent, or of what was received before",
    "hop_false_receipt": "Receipts that give another size",
}
_DROPPED_UNSENT = {
    "unreadable_image": "Images that cannot be read; their tiles, where an earlier life has counted them",
    "refused_pixels": "the same, of images whose pixels are not what was agreed on",
    "frame_too_small": "Images smaller than a tile",
    "source_damaged": "Images that cannot be read since the bag is damaged, and bags that end there",
    "source_changed": "as the first, of files that are not what the run began with",
    "camera_overflow": "Tiles of a camera that is faster than the chain",
}
_BAD_PLANS = {
    BAD_PLAN: "Plans that cannot be flown",
    PLAN_FORGED: "Plans without the signature that is asked for",
}

SENSING = Keys(
    counters={
        "sent": "Batches sent, each attempt",
        "asked": "Batches a store was asked about",
        "plans_committed": "Plans put in force",
        "plan_refused": "Plans not taken up",
        **_BAD_PLANS,
        "malformed_status": "States of satellites that cannot be true",
        "stuck_status": "States of satellites whose work stands still: not believed",
        "malformed_ack": "Acknowledgements that cannot be true",
        "persist_failed": "Plans that could not be kept for a next life",
        "journal_failed": "Times the journal could not be written",
        "store_failed": "Times custody could not be written",
        "unheard_images": "Images of a camera that were published and not heard, where the middleware numbers them",
        "attempts_exhausted": "Tiles dropped after as many attempts as are allowed; less those that turn up after all",
        "refused_by_ground": "Tiles dropped since the ground refused them for good; less those that turn up after all",
        **_refused("Batches that others refused", *(cause for cause in _REFUSALS if cause is not Cause.FOREIGN)),
        "store_lost": "Batches sent again since a satellite lost its store",
        "way_lost": "Batches sent again since their way is gone",
        "overtaken": "Batches sent again since later ones have passed them",
        "stalled": "Batches sent again since nothing moved",
        "undelivered": "Batches sent again since their store does not deliver",
        "foreign_ack": "Acknowledgements of what was never sent, for an earlier life, or by one who may not say so",
        "late_ack": "Acknowledgements of what was settled before",
        **_DROPPED_UNSENT,
        **_HELLO,
        **_SENDING,
        **_HOP,
    },
    values={
        "acquired_tiles": "Tiles taken from the source",
        "waiting_tiles": "of these, to be sent, or sent again",
        "in_flight_tiles": "sent, and not yet in a store",
        "stored_tiles": "with predictions in a satellite's store",
        "delivered_tiles": "with predictions on the ground",
        "dropped_tiles": "given up, by the causes below",
        "lost_tiles": "lost with an earlier life of sensing",
        "withdrawn_drains": "Pauses for a new plan that were given up",
    },
)
COMPRESSION = Keys(
    counters={
        "received": "Messages that arrived",
        "sent": "Batches handed on, to the next satellite or to the store",
        "came_again": "Batches that arrived a second time",
        "misrouted": "Batches meant for another satellite",
        "malformed": "Messages that say nothing sensible",
        "not_finite": "Values that were not finite where they came from, and were replaced there",
        **_refused(
            "Batches refused here", Cause.UNKNOWN_EPOCH, Cause.BAD_CRC, Cause.FULL, Cause.MALFORMED, Cause.INTERNAL
        ),
        **{f"frame_{fault.value}": f"Frames refused: {why}" for fault, why in _FRAMES.items()},
        "late_activation": "Results of an external stage that nobody waits for any more",
        "activation_overflow": "Results of an external stage beyond what is kept",
        **_SENDING,
        **_HOP,
    },
)
STAGE = Keys(
    counters={
        **_BAD_PLANS,
        "malformed_answer": "Answers of an external stage that cannot be true",
        "external_failed": "Times that an external stage was found gone, stuck or at fault",
    },
    values={
        "memory_bytes": "Bytes of parameters in memory",
        "engine": "What computes, on what, and in what",
        "block_real_s": "Seconds a tile takes in a block here, smoothed",
    },
)
DOWNLINK = Keys(
    counters={
        "received": "Predictions that arrived",
        "misrouted": "Predictions meant for another satellite",
        "stored": "Batches written to the store",
        "sent": "Predictions sent to the ground, each attempt",
        "delivered": "Batches the ground has",
        "queries": "Questions of sensing",
        "malformed": "Messages that say nothing sensible",
        "malformed_ack": "Acknowledgements that cannot be true",
        "refused_by_ground": "Batches the ground refused for good: set aside",
        "store_failed": "Batches that could not be written",
        "mark_failed": "Deliveries and refusals that could not be noted",
        "read_failed": "Batches that could not be read",
        "corrupted": "Batches that are not whole on disk any more",
        "duplicate": "Batches that arrived a second time",
        "resent": "Batches sent again since no acknowledgement came",
        "foreign_refusal": "Refusals of what is not held",
        **_refused("Batches that the ground refused", Cause.MALFORMED, Cause.FOREIGN, prefix="refused_by_ground"),
        **_refused("Predictions and questions refused here", Cause.BAD_CRC, Cause.MALFORMED),
        **_HELLO,
        **_SENDING,
    },
    values={
        "undelivered": "Batches written, of which the ground has not said that it has them",
        "set_aside": "Batches the ground refused for good",
        "in_contact": "Whether predictions are sent",
        "ground_heard_s_ago": "Seconds since the last hello of the ground",
    },
)
PLANNER = Keys(
    counters={
        **_BAD_PLANS,
        "plans_proposed": "Plans proposed",
        "refused_proposals": "Proposals a satellite refused",
        "malformed_status": "States of satellites that cannot be true",
        "foreign_status": "States of satellites that fly another model: not planned with",
        "stuck_status": "States of satellites whose work stands still: not believed",
        "malformed_ledger": "Books of sensing that cannot be true",
        "malformed_link_state": "Words on links that cannot be true",
        "state_not_written": "Times its epoch could not be written",
        **_HELLO,
    },
    values={
        "alive": "Satellites to plan with",
        "active": "Epoch of the plan in force",
        "proposed": "Epoch of the plan under way",
        "decision": "The last decision on a new split",
        "ages [s]": "Ages of the files of measurements",
    },
)
GROUND = Keys(
    counters={
        "received": "Predictions that arrived",
        "misrouted": "Predictions meant for somebody else",
        "delivered_tiles": "Tiles written",
        "duplicate_tiles": "Tiles that were there already",
        "malformed": "Messages that say nothing sensible",
        "run_unknown": "Predictions that came before sensing said which run it flies",
        "foreign_run_heard": "Words of sensing on another run",
        "malformed_ledger": "Books of sensing that cannot be true",
        "store_failed": "Batches that could not be written",
        **_refused("Predictions refused here", Cause.BAD_CRC, Cause.MALFORMED, Cause.FOREIGN),
        **_HELLO,
    },
)
RECORDER = Keys(
    counters={
        **_BAD_PLANS,
        "malformed_status": "States of satellites that cannot be true",
        "malformed_timing": "Times that cannot be true",
        "malformed_transfer": "Transfers that cannot be true",
        "malformed_link_state": "Words on links that cannot be true",
        "malformed_ledger": "Books of sensing that cannot be true",
        "unknown_name": "Messages that name no member of the graph",
        "records_dropped": "Timings, transfers and plans forgotten for want of room",
        "report_failed": "Reports that could not be written",
        "display_failed": "Times the display failed",
    },
)
LINK = Keys(
    counters={
        "carried": "Messages carried",
        "malformed": "Messages that say nothing sensible",
        "queue_full": "Messages dropped before a link that has too many",
        "lost": "Messages lost on purpose",
        "lost_in_outage": "Messages under way when their link went down",
        "duplicated": "Messages doubled on purpose",
        "held_back": "Messages held back on purpose",
        "unknown_destination": "Messages to nobody",
    },
    values={
        "down": "Links that are down",
        "contact_s": "Time of the contact plan",
    },
)
ORBIT_CLOCK = Keys(
    counters={
        "state_not_written": "Times its time could not be written",
    },
    values={
        "elapsed_s": "Seconds of the graph's clock since the epoch",
    },
)
