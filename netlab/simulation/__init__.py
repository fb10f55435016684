"""Packets on paper: what would become of one, by the rules that a node has.

`packet` is a packet and its outcome; `iptables` walks one through a ruleset, `match` says which of
its conditions hold. Pure, so that it can be held against the kernel, and against captures.
"""
