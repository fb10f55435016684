"""Packets on paper: what would become of one, by the rules that a node has.

`packet` is a packet and its outcome, `hooks` its way through a node. `iptables` walks it through a
ruleset, `match` says which conditions hold; `nftables` walks it through tables, `nft_rule` takes
their rules apart, `nft_match` says what holds. Pure, so that it can be held against the kernel, and
against captures.
"""
