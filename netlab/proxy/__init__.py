"""What kube-proxy does: Services and EndpointSlices → netfilter rules.

The way through: `config`, `view`, `services` and `endpoints` read the settings and objects,
`categorize` chooses the endpoints, `service_rules` writes the rules of one Service (the chains
are drawn there), `compile` puts them all together, `rulebook` keeps them as objects change.
`render` and `parse` are iptables-save text; `simulate` and `diff` think about rulesets. `apply`
and `libiptc` change a namespace, `carry` keeps what others put there; `syncer` does all of it for
one node. Each `nft_…` is the module of that name for kube-proxy's nftables mode.
"""
