"""Signed plans: Ed25519 over all that satellites obey, so that only the holder of the private key can move blocks.

The keys are PEM files as every tool writes them (`openssl genpkey -algorithm ed25519`); the public key travels as a
parameter, 64 hexadecimal digits.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from satllm_ros.protocol.plan import Plan, PlanError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

# Told apart from whatever else the same key may sign.
_CONTEXT = b"satllm_ros plan v1\n"


def make_key_file(path: Path) -> str:
    """Write a new private key (PEM, readable by its owner only); returns the public key, 64 hexadecimal digits.

    Raises
    ------
    FileExistsError
        If there is a file already: a key that is lost cannot be had again.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    return public_key_text(key)


def public_key_text(key: Ed25519PrivateKey) -> str:
    """Public half of a key, 64 hexadecimal digits."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key file (PEM).

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it holds no unencrypted Ed25519 private key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{path} holds no unencrypted private key in PEM format: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} holds a key of another kind; plans are signed with Ed25519")
    return key


def parse_public_key(text: str) -> Ed25519PublicKey | None:
    """Public key from 64 hexadecimal digits; None from an empty text: plans are then taken unsigned.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if not text:
        return None
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    except ValueError:
        raise ValueError(f"public key {text!r} is no Ed25519 key; it has 64 hexadecimal digits") from None


def sign(plan: Plan, key: Ed25519PrivateKey) -> Plan:
    """The same plan with its signature filled in."""
    return replace(plan, signature=key.sign(_CONTEXT + plan.content()))


def check_signature(plan: Plan, key: Ed25519PublicKey | None) -> None:
    """Refuse a plan that the holder of the private key has not signed; without a key all pass.

    Raises
    ------
    PlanError
        If the signature is missing or is not of this content.
    """
    if key is None:
        return
    from cryptography.exceptions import InvalidSignature

    if not plan.signature:
        raise PlanError(f"plan {plan.epoch} of {plan.planner_id!r} is not signed; only signed plans are taken")
    try:
        key.verify(plan.signature, _CONTEXT + plan.content())
    except InvalidSignature:
        raise PlanError(
            f"plan {plan.epoch} of {plan.planner_id!r} carries a signature that is not of its content"
        ) from None
