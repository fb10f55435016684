"""kube-proxy's nftables mode: one table, in which verdict maps lead to each Service's chains."""
