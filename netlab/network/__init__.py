"""Namespaces, links, addresses and routes: model, plan, read, diff, apply."""
