"""Deliberate bugs in the protocol, and whether the simulation catches them."""
