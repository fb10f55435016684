"""Which endpoint a session is of, when endpoints come and go."""

import re
from collections import Counter

from ingresses import compiled, rendered

from netlab.ingress.sessions import BUCKETS, owners

STICKY = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: sticky
  annotations:
    nginx.ingress.kubernetes.io/affinity: cookie
    nginx.ingress.kubernetes.io/affinity-mode: {mode}
spec:
  ingressClassName: nginx
  rules:
  - http:
      paths:
      - {{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}
"""


def test_with_one_more_only_its_own_move_and_each_has_its_share():
    before, after = owners(("a", "b", "c")), owners(("a", "b", "c", "d"))
    moved = {new for old, new in zip(before, after, strict=True) if old != new}
    assert moved == {"d"}
    assert all(BUCKETS / 8 < count < BUCKETS / 2 for count in Counter(after).values())
    assert owners(("a", "c")) == tuple(
        old if old != "b" else new for old, new in zip(before, owners(("a", "c")), strict=True)
    )


def test_every_bucket_leads_to_an_endpoint_if_it_is_balanced():
    text = rendered(compiled(STICKY.format(mode="balanced"))).text
    leading = re.search(r"map \$session_1 \$endpoint_1 \{(.*?)\}", text, re.S)
    assert leading and leading[1].count("default.web.80@") == BUCKETS
    persistent = rendered(compiled(STICKY.format(mode="persistent"))).text
    assert "$session_1" not in persistent
