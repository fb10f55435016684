"""What kube-proxy does: Services and EndpointSlices → netfilter rules, in either of its modes.

The way through: `config`, `node_view`, `services` and `endpoints` read the settings and objects,
`categorize` chooses the endpoints of a port, `compile` has a mode write the rules of a Service,
`book` keeps those of all as objects change, and `syncer` brings them into one node.

The modes are `iptables` and `nftables`, rooms with modules of the same names: `model` is a node's
rules as values, `service_rules` writes them (and draws the chains), `compile` puts them together,
`render` and `parse` are text, `diff` compares, `apply` changes a namespace. Neither imports the
other; whoever takes either asks `modes`.
"""
