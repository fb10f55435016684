"""The lab: brought up, taken down, looked at."""
