"""hostPorts of pods, as the CNI plugin portmap programs them.

`mappings` reads them off pods; `iptables` and `nftables` make rules of them, in the terms of the
proxy's modes, which write them (`proxy.other_rules`). Pure.
"""
