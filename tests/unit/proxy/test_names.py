"""Hashes that stand for service ports in chain names."""

from netlab.proxy.names import hashed


def test_worked_examples_of_chain_names():
    assert hashed("ns1/threetcp") == "CYJJNRDIWBDS7HGJ"
    assert hashed("ns1/threetcp10.180.0.1:8080") == "OBXQLKML6L65UP2R"
    assert hashed("default/kubernetes:httpstcp") == "NPX46M4PTMTKRN6Y"
