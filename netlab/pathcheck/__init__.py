"""The checks of `netlab check`: probes, captures at each hop, verdicts."""
