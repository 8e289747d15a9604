"""Deterministic simulation of the protocol: the machines of `runtime`, a virtual clock, and every kind of fault."""
