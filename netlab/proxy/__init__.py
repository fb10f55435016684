"""What kube-proxy does: Services and EndpointSlices → netfilter rules, in either of its modes.

The way through: `config`, `node_view`, `services` and `endpoints` read the settings and objects,
`categorize` chooses the endpoints; then a mode writes the rules. `syncer` has all of it done for
one node.

The modes are `iptables` and `nftables`, a room each with modules of the same names: `model` is a
node's rules as values, `compile` makes them (the chains are drawn in `service_rules`), `book`
keeps them as objects change, `render` and `parse` are text, `diff` compares, `apply` changes a
namespace. Neither imports the other; what both need is here.
"""
