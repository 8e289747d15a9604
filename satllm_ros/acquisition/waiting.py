"""When it is time to say that something is waited for, and sentences that name what and the likely cause."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

# Nothing is waited for longer than ten seconds without a word.
FIRST_S = 8.0
LONGEST_PAUSE_S = 600.0
# Names shown of a list that may be long.
MAX_NAMES = 8


class Reminder:
    """Says when to speak of one thing that is waited for: after `first_s`, then at ever longer intervals."""

    def __init__(self, first_s: float = FIRST_S) -> None:
        self._first_s = first_s
        self._since_s: float | None = None
        self._due_s = 0.0

    def waited_s(self, is_waiting: bool, now_s: float) -> float | None:
        """How long it has been waited for, when that is to be said; to be asked now and then."""
        if not is_waiting:
            self._since_s = None
            return None
        if self._since_s is None:
            self._since_s, self._due_s = now_s, now_s + self._first_s
        if now_s < self._due_s:
            return None
        waited_s = now_s - self._since_s
        self._due_s = now_s + min(2 * waited_s, LONGEST_PAUSE_S)
        return waited_s


@dataclass(frozen=True)
class CameraView:
    """What a listener for images sees of the graph.

    Attributes
    ----------
    topics
        Full names of the topics that are listened to.
    publishers
        How many publishers each of them has.
    other_types
        Those of them on which something else than images is published, with its type.
    incompatible
        Those of them whose publishers offer less quality of service than is asked for.
    image_topics
        All topics in the graph that somebody publishes images on, with their types.
    had_images
        Whether an image has come before.
    """

    topics: tuple[str, ...]
    publishers: Mapping[str, int]
    other_types: Mapping[str, str] = field(default_factory=dict)
    incompatible: Collection[str] = ()
    image_topics: Mapping[str, str] = field(default_factory=dict)
    had_images: bool = False


def no_image(waited_s: float, view: CameraView, environ: Mapping[str, str]) -> str:
    """Why no image comes from a camera."""
    since = f"no {'further ' if view.had_images else ''}image for {waited_s:.0f} s on {' or '.join(view.topics)}"
    published = [topic for topic in view.topics if view.publishers.get(topic)]
    if view.other_types:
        types = ", ".join(f"{topic} is of type {kind}" for topic, kind in sorted(view.other_types.items()))
        return f"{since}: {types}, which is no image"
    if view.incompatible:
        return (
            f"{since}: the publisher on {_names(sorted(view.incompatible))} offers a quality of service that does not "
            "match; camera topics are listened to best effort and volatile, and match every publisher of sensor data"
        )
    if published:
        return f"{since}: {_names(published)} has a publisher, which sends nothing, or whose images do not get through"
    others = sorted(set(view.image_topics) - set(view.topics))
    if others:
        return (
            f"{since}: nobody publishes there, but there are images on {_names(others)}; "
            "choose with --image-topic NAME (launch: image_topic:=NAME)"
        )
    return f"{since}: nobody publishes there, nor images on any other topic{_because(environ)}"


@dataclass(frozen=True)
class PlanView:
    """What sensing sees of a plan that is not active yet.

    Attributes
    ----------
    satellites
        All of the constellation.
    silent
        Those that have not said yet what they can do.
    has_planner
        Whether a planner is there.
    unready
        Members of a proposal that are not ready for it, and why; empty if nothing is proposed.
    has_proposal
        Whether a plan is proposed.
    """

    satellites: Collection[str]
    silent: Collection[str]
    has_planner: bool
    has_proposal: bool
    unready: Mapping[str, str] = field(default_factory=dict)


def no_plan(waited_s: float, view: PlanView, environ: Mapping[str, str]) -> str:
    """Why no plan is active, and so nothing flies."""
    since = f"no plan is active after {waited_s:.0f} s"
    if view.has_proposal:
        reasons = "; ".join(f"{name} {why}" for name, why in sorted(view.unready.items()))
        return f"{since}: one is proposed, " + (
            f"but {reasons}" if reasons else "and waits for the word of its members"
        )
    missing = []
    if not view.has_planner:
        missing.append("no planner is found")
    if view.silent:
        missing.append(f"no status yet of {_names(sorted(view.silent))}")
    if not missing:
        return f"{since}: the planner is there and has proposed none; its log says why"
    # Whoever is heard proves that discovery works.
    is_alone = not view.has_planner and len(view.silent) == len(view.satellites)
    return f"{since}: {' and '.join(missing)}{_because(environ) if is_alone else ''}"


def stream_waits(waited_s: float, obstacles: Mapping[str, str]) -> str:
    """Which members of the active plan keep images from flying."""
    return f"the stream waits for {waited_s:.0f} s: " + "; ".join(
        f"{name} {'is dead' if why == 'dead' else why}" for name, why in sorted(obstacles.items())
    )


# Variables that keep processes from finding each other if they differ between them.
_DISCOVERY = (
    "ROS_DOMAIN_ID",
    "RMW_IMPLEMENTATION",
    "ROS_AUTOMATIC_DISCOVERY_RANGE",
    "ROS_LOCALHOST_ONLY",
    "ROS_STATIC_PEERS",
    "ROS_DISCOVERY_SERVER",
    "ROS_SECURITY_ENABLE",
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
    "FASTDDS_BUILTIN_TRANSPORTS",
)
# A profile that a process has set for itself is no cause.
_OWN_PROFILES = ("satllm_ros/config/fastdds.xml", "satllm_ros/config/fastdds_udp.xml")


def settings_that_hide(environ: Mapping[str, str]) -> list[str]:
    """Variables that are not as by default and decide who is found, as NAME=value."""
    found = [(name, environ.get(name, "")) for name in _DISCOVERY]
    return [f"{name}={value}" for name, value in found if value and not value.endswith(_OWN_PROFILES)]


def _because(environ: Mapping[str, str]) -> str:
    hiding = settings_that_hide(environ)
    if hiding:
        return f"; here {', '.join(hiding)} is set, which must be the same there"
    return "; no variable that decides who is found is set here: one may be there, or a firewall between"


def _names(names: Collection[str]) -> str:
    shown = list(names)[:MAX_NAMES]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
