import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.objects import names


@pytest.mark.parametrize(
    ("text", "good"),
    [("a", True), ("A_b-c.d", True), ("a..b", True), ("..", False), ("..a", False), (".", False),
     ("", False), ("a b", False), ("é", False), ("a" * 254, False)],
)  # fmt: skip
def test_config_keys(text, good):
    assert (not any(names.config_key_faults(text))) is good


@pytest.mark.parametrize("text", ["a", "web-1", "1a", "a" * 63])
def test_dns_labels(text):
    assert names.is_dns_label(text)


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a_b", "a.b", "a" * 64, "a\n", "é"])
def test_not_dns_labels(text):
    assert not names.is_dns_label(text)


def test_a_service_name_begins_with_a_letter():
    assert names.is_dns_1035_label("web")
    assert not names.is_dns_1035_label("1web")


@pytest.mark.parametrize(
    ("text", "good"),
    [("a.b-c.d", True), ("a..b", False), (".a", False), ("a" * 254, False), ("node1", True)],
)
def test_dns_subdomains(text, good):
    assert names.is_dns_subdomain(text) is good


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("app", True),
        ("app.kubernetes.io/name", True),
        ("My_Name", True),
        ("/name", False),
        ("a/b/c", False),
        ("a" * 64, False),
        ("", False),
    ],
)
def test_qualified_names(text, good):
    assert names.is_qualified_name(text) is good


def test_label_values_may_be_empty_but_not_end_in_a_dash():
    assert names.is_label_value("")
    assert names.is_label_value("v1.2_x")
    assert not names.is_label_value("v1-")
    assert not names.is_label_value("a b")


@pytest.mark.parametrize(
    ("text", "good"),
    [("http", True), ("8080", False), ("a--b", False), ("-a", False), ("a" * 16, False)],
)
def test_port_names(text, good):
    assert names.is_port_name(text) is good


def test_fnv1a_is_the_published_function():
    # Vectors of the FNV reference: the empty string and "foobar".
    assert names.fnv1a_32(b"") == 0x811C9DC5
    assert names.fnv1a_32(b"foobar") == 0xBF9CF968


def test_a_template_hash_depends_on_content_not_on_order():
    one = names.template_hash({"a": 1, "b": {"c": 2, "d": 3}})
    assert one == names.template_hash({"b": {"d": 3, "c": 2}, "a": 1})
    assert one != names.template_hash({"a": 1, "b": {"c": 2, "d": 4}})
    assert one != names.template_hash({"a": 1, "b": {"c": 2, "d": 3}}, collisions=1)


def test_decimal_digits_are_encoded_as_kubernetes_does():
    # Kubernetes' hashes consist of these ten characters for exactly this reason.
    assert names.safe_encode("0123456789") == "456789bcdf"


@given(st.dictionaries(st.text(), st.integers()))
def test_a_template_hash_is_always_a_dns_label(template):
    text = names.template_hash(template)
    assert names.is_dns_label(f"web-{text}")
    assert set(text) <= set(names.SAFE_ALPHABET)
    assert len(text) <= 10


def test_a_random_suffix_comes_from_its_source():
    assert names.random_suffix(3, lambda n: bytes(range(n))) == names.SAFE_ALPHABET[:3]
    assert len(names.random_suffix()) == 5
    assert set(names.random_suffix(50)) <= set(names.SAFE_ALPHABET)
