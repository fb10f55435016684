"""What kube-proxy does: Services and EndpointSlices → netfilter rules.

The way through: `config`, `view`, `services` and `endpoints` read the settings and objects,
`categorize` chooses the endpoints, `compile` writes the rules of one Service and assembles them
(`nft_compile` in nftables mode), `rulebook` keeps them as objects change. `render` and `parse` are
iptables-save text; `simulate` and `diff` think about rulesets. `apply`, `libiptc` and `nft_apply`
change a namespace, `carry` what others put there along; `syncer` does all of it for one node.
"""
