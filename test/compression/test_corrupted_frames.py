"""20,000 corrupted frames of all codecs, half of them resealed: each is rejected by cause or harmless."""

from collections import Counter

from corruption import corrupt_and_decode, honest_frames
from made_models import ArtefactsMaker

from satllm_ros.compression.wire.errors import FrameFault
from satllm_ros.compression.wire.setting import Codec

FRAMES = 20_000


def test_corrupted_frames_are_rejected_by_cause_or_harmless(
    path_of_code: str, full_artefacts_maker: ArtefactsMaker
) -> None:
    models = [
        full_artefacts_maker(),
        full_artefacts_maker(prefix_tokens=0, width=5, patches=4),
        full_artefacts_maker(prefix_tokens=3, width=16, patches=25),
    ]
    # Half of them with each path of code.
    outcomes = corrupt_and_decode(FRAMES // 2, honest_frames(models), seed=len(path_of_code))
    assert sum(sum(counted.values()) for counted in outcomes.values()) == FRAMES // 2
    # The corruption must be worth the name: without a new seal only an unchanged frame passes, and with one every
    # check behind the CRC-32 is met.
    faults: dict[bool, Counter[FrameFault | None]] = {resealed: Counter() for resealed in outcomes}
    for resealed, counted in outcomes.items():
        for (_, fault), number in counted.items():
            faults[resealed][fault] += number
    assert faults[False][None] < 100
    behind_the_seal = set(FrameFault) - {FrameFault.CHECKSUM, FrameFault.LENGTH}
    assert behind_the_seal <= set(faults[True])
    assert faults[True][None] > 100
    for codec in Codec:
        assert outcomes[True][codec, FrameFault.PAYLOAD] > 10
