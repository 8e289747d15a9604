"""The frozen frames decode to the same bits for ever."""

import re
from pathlib import Path

import numpy as np
import pytest
from c_decoder import CDecoder

from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import Artefacts, load_artefacts
from satllm_ros.compression.wire.errors import FrameFault
from satllm_ros.compression.wire.setting import Codec

VECTORS = Path(__file__).parent / "vectors"
DOCUMENT = Path(__file__).parents[2] / "docs" / "wire-format.md"
NAMES = sorted(path.stem for path in VECTORS.glob("*.frame"))


def artefacts_of(name: str) -> Artefacts:
    return load_artefacts(VECTORS / f"{name.split('.')[0]}.artefacts.safetensors")


@pytest.mark.parametrize("name", NAMES)
def test_a_frozen_frame_decodes_to_the_same_bits(name: str) -> None:
    frame = (VECTORS / f"{name}.frame").read_bytes()
    decoded = decode(frame, artefacts_of(name), max_elements=10**6)
    expected = np.load(VECTORS / f"{name}.decoded.npy")
    assert decoded.activation.shape == expected.shape
    assert decoded.activation.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_the_c_decoder_gives_them_too(name: str, library: Path) -> None:
    found = CDecoder(library)((VECTORS / f"{name}.frame").read_bytes(), artefacts_of(name))
    assert found.tobytes() == np.load(VECTORS / f"{name}.decoded.npy").tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_its_input_is_still_coded_to_the_same_symbols(name: str) -> None:
    artefacts = artefacts_of(name)
    frozen = decode((VECTORS / f"{name}.frame").read_bytes(), artefacts, max_elements=10**6)
    frame = encode(np.load(VECTORS / f"{name}.input.npy"), frozen.setting, artefacts, frozen.cut)
    again = decode(frame, artefacts, max_elements=10**6)
    assert again.activation.tobytes() == frozen.activation.tobytes()
    assert again.replaced == frozen.replaced


def test_there_is_a_vector_for_every_codec_and_for_replaced_values() -> None:
    decoded = [
        decode((VECTORS / f"{name}.frame").read_bytes(), artefacts_of(name), max_elements=10**6) for name in NAMES
    ]
    assert {d.setting.codec for d in decoded} == set(Codec)
    assert max(d.replaced for d in decoded) == 11


def test_ids_of_frozen_artefacts_never_change() -> None:
    assert artefacts_of("one_prefix").artefact_id == "412d46b1e0d44c7a"
    assert artefacts_of("no_prefix").artefact_id == "47d3ffb9448bb267"
    assert artefacts_of("tables").artefact_id == "39b362b3458bb88a"


def test_the_document_shows_the_frozen_frames() -> None:
    rows = re.findall(r"^[0-9a-f]{4}  ((?:[0-9a-f]{2} ?)+)$", DOCUMENT.read_text(), re.MULTILINE)
    names = ["one_prefix.int8.small", "tables.klt.small"]
    assert bytes.fromhex("".join(rows)) == b"".join((VECTORS / f"{name}.frame").read_bytes() for name in names)


def test_the_document_names_every_fault() -> None:
    named = set(re.findall(r"^\| \d+ \| .* \| `(\w+)` \|$", DOCUMENT.read_text(), re.MULTILINE))
    assert named == {fault.value for fault in FrameFault}
