"""Connections as the nodes' connection tracking tells of them: whose they are, and counted."""
