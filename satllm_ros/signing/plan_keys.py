"""The keys of one planner: it signs with one, all believe by the other, and the two must belong together."""

from __future__ import annotations

from pathlib import Path

from satllm_ros.protocol.plan import Plan
from satllm_ros.signing.signing import load_signing_key, parse_public_key, public_key_text, sign


class PlanKeys:
    """Keys as a planner is given them.

    Parameters
    ----------
    public_key
        64 hexadecimal digits; empty: unsigned plans are believed.
    signing_key
        File of the private key; empty: plans are not signed.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If one of them is no key, or satellites that have the public key would refuse this planner's plans.
    """

    def __init__(self, public_key: str, signing_key: str) -> None:
        believed = parse_public_key(public_key)
        self._signing_key = load_signing_key(Path(signing_key)) if signing_key else None
        if believed is None:
            return
        if self._signing_key is None:
            raise ValueError("plan_public_key is set and signing_key is not: nobody would take this planner's plans")
        own = public_key_text(self._signing_key)
        if own != public_key.lower():
            raise ValueError(
                f"plan_public_key is {public_key}, but {signing_key} belongs to {own}: nobody would take this planner's"
                " plans"
            )

    def sign(self, plan: Plan) -> Plan:
        """The plan, signed if there is a key to sign with."""
        return sign(plan, self._signing_key) if self._signing_key is not None else plan
