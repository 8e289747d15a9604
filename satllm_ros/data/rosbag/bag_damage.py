"""What is damaged in a bag, which messages of a topic are lost by it, and what mends it, in a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from satllm_ros.data.rosbag.bag_files import BagFiles
from satllm_ros.data.rosbag.bag_storage import Loss

_CURES = {
    ".mcap": "`mcap recover {file} -o whole.mcap` (the mcap command line tool, which needs no ROS)",
    ".db3": "`sqlite3 {file} .recover | sqlite3 whole.db3` (which needs no ROS)",
}


@dataclass(frozen=True)
class BagDamage:
    """Messages of one topic that a bag should hold and that cannot be read.

    Attributes
    ----------
    topic
        Whose messages are lost.
    position, lost
        They would have been at places `position` to `position + lost - 1` of the topic.
    is_exact
        False if the bag does not tell how many there were: then `lost` is 1, for at least one, and the places of later
        messages are counted as if it were so.
    sentence
        What is damaged, how many messages were read before it, and what mends the bag.
    """

    topic: str
    position: int
    lost: int
    is_exact: bool
    sentence: str


def damage_of(bag: BagFiles, number: int, loss: Loss, topic: str, position: int, *, is_first: bool) -> BagDamage | None:
    """What a loss in a file means for one topic; None if nothing of it is lost."""
    lost = None if loss.counts is None else loss.counts.get(topic, 0)
    if lost is None and loss.is_end and is_first:
        lost = bag.missing(number, topic, position)
    if lost == 0:
        return None
    if lost is None:
        gone = "how many messages are missing there is not known"
    else:
        last = position + lost - 1
        gone = f"message {position} is lost" if lost == 1 else f"messages {position} to {last} are lost"
    file = bag.folder.files[number]
    cure = _CURES[".db3" if ".db3" in file.name else ".mcap"].format(file=file.name)
    mended = f"; {cure} makes a whole bag of it" if file.exists() and file.stat().st_size else ""
    sentence = (
        f"bag {bag.path} {'was broken off while it was recorded' if loss.is_cut else 'is damaged'}: {loss.reason}; of "
        f"topic {topic} {position - 1} messages came before it, and {gone}; what can be read is read{mended}"
    )
    return BagDamage(topic, position, lost or 1, lost is not None, sentence)
