"""Verbs that change objects, as kubectl makes the changes."""
