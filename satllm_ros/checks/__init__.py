"""What a computer must have before a flight can start, as one list that `doctor`, `up` and the launch files share."""
