"""kube-proxy's iptables mode: chains for each Service, jumped to from chains that all share.

`rule` takes a rule apart, `owners` tells whose it is, `foreign_rules` keeps what others put into
the same tables; `libiptc` is an applier beside `apply`, without a program.
"""
