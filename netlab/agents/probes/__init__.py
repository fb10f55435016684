"""Probes and lifecycle hooks: what they ask, when their answers count, and who asks."""
