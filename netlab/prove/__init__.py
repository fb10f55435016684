"""All packets at once: what a node's rules do with each, as a partition of the header space.

`space` has the fields of a header and sets of their values, `diagram` decisions over them that are
the same object when they are the same function. `steps` is one model of rules, which `of_iptables`
and `of_nftables` (by `nft_steps`) fill; `walk` takes all packets through a chain, `hooks` through a
node. Of what comes out, `question` holds an expectation against each class, `difference` two
rulesets against each other, `lint` finds rules that nothing can reach, and `words` says it. Pure.
"""
