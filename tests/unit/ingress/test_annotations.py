"""Which annotations there are, what they may say, and what becomes of those that may not."""

import pytest

from netlab.ingress import annotations, settings
from netlab.ingress.affinities import affinity
from netlab.ingress.annotations import Annotations, parse

P = annotations.PREFIX


def said(**written):
    return parse({f"{P}/{name.replace('_', '-')}": text for name, text in written.items()})


def test_every_annotation_has_a_field_and_every_field_a_parser():
    fields = {name.replace("_", "-") for name in Annotations.__struct_fields__}
    assert fields == set(annotations.KNOWN)
    keys = {name.replace("_", "-") for name in settings.Settings.__struct_fields__}
    assert keys == set(settings.KNOWN)


def test_they_are_read_with_their_types():
    found, wrong = said(
        rewrite_target="/$1",
        use_regex="true",
        proxy_read_timeout="3600",
        whitelist_source_range="10.0.0.0/8,192.0.2.1",
        backend_protocol="https",
        server_alias="A.example, *.b.example",
        ssl_redirect="",
    )
    assert wrong == []
    assert found == Annotations(
        rewrite_target="/$1",
        use_regex=True,
        proxy_read_timeout=3600,
        allowlist_source_range=("10.0.0.0/8", "192.0.2.1/32"),
        backend_protocol="HTTPS",
        server_alias=("a.example", "*.b.example"),
    )


def test_variables_of_nginx_may_be_in_a_redirect():
    target = "https://$host/$1?x=$arg_x&$http_x_y$request_uri"
    assert said(permanent_redirect=target) == (Annotations(permanent_redirect=target), [])


def test_a_cookie_s_path_has_no_variables():
    found, _ = said(affinity="cookie")
    chosen = affinity(found, "/a$nope")
    assert chosen and chosen.attributes.startswith("Path=/a${literal_dollar}nope;")


def test_those_of_others_are_none_of_ours():
    assert parse({"example.com/rewrite-target": "x", "use-regex": "maybe"}) == (Annotations(), [])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rewrite_target", "/; return 200;"),
        ("rewrite_target", "/$http_cookie"),
        ("rewrite_target", '/"x'),
        ("rewrite_target", "/a\nb"),
        ("app_root", "//{}"),
        ("permanent_redirect", "https://a;b"),
        ("permanent_redirect", "https://a b"),
        ("permanent_redirect", "https://a/$nope"),
        ("temporal_redirect", "https://a/$"),
        ("permanent_redirect_code", "200"),
        ("proxy_body_size", "1m;"),
        ("proxy_body_size", "-1"),
        ("proxy_connect_timeout", "0"),
        ("proxy_read_timeout", "60s"),
        ("proxy_cookie_path", "/ ;"),
        ("proxy_next_upstream", "error; evil"),
        ("upstream_vhost", "$host"),
        ("upstream_hash_by", "$document_root"),
        ("upstream_hash_by", "${request_uri"),
        ("upstream_hash_by", "plain"),
        ("session_cookie_name", "a b"),
        ("session_cookie_path", "/;x"),
        ("session_cookie_samesite", "strictly"),
        ("canary_by_header", "X:Y"),
        ("canary_by_header_pattern", 'a"b'),
        ("cors_allow_origin", "a\tb"),
        ("cors_allow_methods", "GET;"),
        ("denylist_source_range", "all"),
        ("server_alias", "~^evil$"),
        ("ssl_ciphers", "ALL; evil"),
        ("auth_realm", '"'),
        ("auth_secret", "../x;y"),
        ("use_regex", "yes"),
        ("limit_rps", "1r/s"),
        ("x_forwarded_prefix", "/$1"),
    ],
)
def test_what_may_not_be_said_counts_as_not_said(name, text):
    found, wrong = said(**{name: text})
    assert found == Annotations()
    (line,) = wrong
    assert line.startswith(f"annotation {P}/{name.replace('_', '-')} has no effect: ")


@pytest.mark.parametrize("name", sorted(annotations.RISKY))
def test_snippets_are_refused(name):
    found, (line,) = said(**{name.replace("-", "_"): "return 200;"})
    assert found == Annotations()
    assert f"{name} is refused" in line


def test_unknown_ones_are_told_of():
    assert "is not known to this controller" in said(enable_modsecurity="true")[1][0]
