"""Deterministic simulation of the protocol: the machines of `protocol`, a virtual clock, and every kind of fault."""
