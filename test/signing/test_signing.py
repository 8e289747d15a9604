"""Signed plans: only what the holder of the key has signed passes."""

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from satllm_ros.cli.main import main
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.plan import Plan, PlanError, Stage
from satllm_ros.signing.signing import check_signature, load_signing_key, make_key_file, parse_public_key, sign

PLAN = Plan(
    epoch=Epoch(2, 7),
    planner_id="planner",
    model_id="0123456789abcdef",
    source="sensing",
    stages=(Stage("sat1", 0, 4, CodecSetting.parse("int8")), Stage("sat2", 4, 12, CodecSetting.parse("raw"))),
    downlink="sat2",
    accuracy_floor=0.8,
).sealed()

ALTERED = [
    {"epoch": Epoch(2, 8)},
    {"planner_id": "another"},
    {"model_id": "fedcba9876543210"},
    {"source": "sensing2"},
    {"stages": PLAN.stages[::-1]},
    {"stages": (replace(PLAN.stages[0], setting=CodecSetting.parse("raw")), PLAN.stages[1])},
    {"downlink": "sat1"},
    {"accuracy_floor": 0.0},
]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "planner.pem"


def test_a_signed_plan_passes_with_its_key_only(key_file: Path) -> None:
    ours = parse_public_key(make_key_file(key_file))
    other = parse_public_key(make_key_file(key_file.with_name("other.pem")))
    signed = sign(PLAN, load_signing_key(key_file))

    check_signature(signed, ours)
    with pytest.raises(PlanError, match="not of its content"):
        check_signature(signed, other)


@pytest.mark.parametrize("change", ALTERED, ids=lambda change: next(iter(change)))
def test_an_altered_plan_is_refused_even_when_sealed_anew(key_file: Path, change: dict) -> None:
    key = parse_public_key(make_key_file(key_file))
    altered = replace(sign(PLAN, load_signing_key(key_file)), **change).sealed()

    with pytest.raises(PlanError, match="not of its content"):
        check_signature(altered, key)


def test_an_unsigned_plan_is_refused_only_where_a_key_is_set(key_file: Path) -> None:
    check_signature(PLAN, parse_public_key(""))
    with pytest.raises(PlanError, match="not signed"):
        check_signature(PLAN, parse_public_key(make_key_file(key_file)))


@pytest.mark.parametrize("signature", [b"x", b"x" * 63, b"x" * 64])
def test_a_signature_of_any_other_bytes_is_refused(key_file: Path, signature: bytes) -> None:
    key = parse_public_key(make_key_file(key_file))
    with pytest.raises(PlanError):
        check_signature(replace(PLAN, signature=signature), key)


def test_a_key_file_is_private_and_never_overwritten(key_file: Path) -> None:
    make_key_file(key_file)
    content = key_file.read_bytes()

    assert key_file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        make_key_file(key_file)
    assert key_file.read_bytes() == content


@pytest.mark.parametrize("text", ["12", "zz" * 32, "ab" * 31, "ab" * 33])
def test_what_is_no_public_key_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        parse_public_key(text)


def test_what_is_no_signing_key_is_named(key_file: Path) -> None:
    key_file.write_text("nothing")
    with pytest.raises(ValueError, match="no unencrypted private key"):
        load_signing_key(key_file)
    key_file.write_bytes(
        generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with pytest.raises(ValueError, match="another kind"):
        load_signing_key(key_file)


def test_the_command_prints_the_public_key(key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["make-key", str(key_file)]) == 0
    key = parse_public_key(capsys.readouterr().out.strip())
    check_signature(sign(PLAN, load_signing_key(key_file)), key)

    assert main(["make-key", str(key_file)]) == 2
