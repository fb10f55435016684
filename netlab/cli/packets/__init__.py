"""Verbs about rules and packets."""
