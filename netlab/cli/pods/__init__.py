"""Verbs about what runs in pods."""
