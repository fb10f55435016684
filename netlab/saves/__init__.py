"""Saves of a real node's rules: the texts of iptables-save, ip6tables-save, `nft list ruleset` and
`nft -j list ruleset` → what simulators walk packets through, with each rule's line. Pure.

`read` reads them, `save` is what comes of it; `listing` and `listing_json` take nft's texts apart,
`misprints` knows what older programs print wrongly, `understood` says of which rules nobody here
knows what they ask or do, `writers` whose a chain is.
"""
