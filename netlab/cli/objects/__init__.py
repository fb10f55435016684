"""Verbs about objects, as kubectl has them."""
