"""Holds for every test; makes the modules of this folder importable by all rooms."""

import os

# No message of a test leaves this computer.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
