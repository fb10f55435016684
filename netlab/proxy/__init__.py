"""What kube-proxy does: Services and EndpointSlices → netfilter rules.

The way through: `config` and `services`/`endpoints` read the objects, `categorize` chooses the
endpoints, `compile` writes the rules of one Service and assembles them, `render` and `parse` are
iptables-save text, `simulate` and `diff` think about rulesets, `apply` and `syncer` change nodes.
"""
