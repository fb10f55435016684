import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.errors import BadRequest
from netlab.objects import selectors
from netlab.objects.kinds import KINDS

LABELS = {"app": "web", "tier": "front", "version": "3"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web", True),
        ("app!=web", False),
        ("missing!=x", True),
        ("app in (web, db)", True),
        ("app notin (web)", False),
        ("missing notin (web)", True),
        ("app", True),
        ("!app", False),
        ("!missing", True),
        ("version>2", True),
        ("version<3", False),
        ("app>2", False),
        ("app=web,tier in (front,back),!old", True),
        ("app=web,tier=back", False),
        ("app=", False),
    ],
)
def test_parse_and_match(text, matches):
    assert selectors.parse(text).matches(LABELS) is matches


@pytest.mark.parametrize("text", ["app==web==x", "a in", "in (a)x", "a=b c", "(a)", "a in (b"])
def test_nonsense_is_refused_with_a_hint(text):
    with pytest.raises(BadRequest) as caught:
        selectors.parse(text)
    assert "key=value" in str(caught.value.hint)


def test_a_service_without_selector_selects_nothing():
    assert not selectors.from_map(None).matches(LABELS)
    assert not selectors.from_map({}).matches({})
    assert selectors.from_map({"app": "web"}).matches(LABELS)


def test_label_selector_objects():
    assert not selectors.from_label_selector(None).matches(LABELS)
    assert selectors.from_label_selector({}).matches({})
    both = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["back"]}],
    }
    assert selectors.from_label_selector(both).matches(LABELS)
    assert not selectors.from_label_selector(both).matches({"app": "web", "tier": "back"})


_KEY = st.from_regex(r"[a-z]{1,5}", fullmatch=True).filter(lambda key: key not in ("in", "notin"))
_VALUES = st.frozensets(_KEY, min_size=1, max_size=3)
_REQUIREMENTS = st.one_of(
    st.builds(selectors.Requirement, _KEY, st.sampled_from(["In", "NotIn"]), _VALUES),
    st.builds(selectors.Requirement, _KEY, st.sampled_from(["Exists", "DoesNotExist"])),
)


@given(st.lists(_REQUIREMENTS, max_size=4))
def test_a_selector_reads_back_from_its_own_text(requirements):
    selector = selectors.Selector(tuple(requirements))
    assert selectors.parse(str(selector)) == selector


@pytest.mark.parametrize("text", ["a," * 100_000, "a in (" + "," * 200_000 + ")"])
def test_what_has_many_commas_is_read_at_once(text: str) -> None:
    selectors.parse(text)  # looking ahead from each comma it would take a minute


POD = {
    "metadata": {"name": "p", "namespace": "default", "labels": LABELS},
    "spec": {"nodeName": "worker001"},
    "status": {"phase": "Running"},
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("metadata.name=p", True),
        ("metadata.name!=p", False),
        ("spec.nodeName=worker001,status.phase=Running", True),
        ("spec.nodeName=", False),
        ("status.podIP=", True),
        ("spec.hostNetwork=false", True),
    ],
)
def test_field_selectors(text, matches):
    assert selectors.parse_fields(text, "Pod").matches(POD) is matches


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("Pod", "spec.clusterIP=None", "field label not supported: spec.clusterIP"),
        ("Node", "metadata.namespace=x", "field label not supported: metadata.namespace"),
        ("Secret", "data.a=b", "field label not supported: data.a"),
        ("Job", "status.active=1", 'field label "status.active" not supported for batchv1.Job'),
        (
            "Deployment",
            "spec.replicas=1",
            '"spec.replicas" is not a known field selector: '
            'only "metadata.name", "metadata.namespace"',
        ),
        ("Pod", "spec.nodeName", "invalid selector: 'spec.nodeName'; can't understand"),
    ],
)
def test_a_field_that_is_not_offered_is_refused_in_an_api_servers_words(kind, text, words):
    with pytest.raises(BadRequest) as refused:
        selectors.parse_fields(text, kind)
    assert refused.value.message.startswith(words)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_kind_offers_its_name(kind):
    obj = {"metadata": {"name": "n", "namespace": "s"}}
    assert selectors.parse_fields("metadata.name=n", kind.kind).matches(obj)
    assert not selectors.parse_fields("metadata.name=m", kind.kind).matches(obj)
    if kind.namespaced:
        assert selectors.parse_fields("metadata.namespace=s", kind.kind).matches(obj)


@pytest.mark.parametrize(
    ("kind", "text", "obj"),
    [
        ("Job", "status.successful=0", {"status": {}}),
        ("Job", "status.successful==2", {"status": {"succeeded": 2}}),
        ("Pod", "spec.host=one", {"spec": {"nodeName": "one"}}),
        ("Secret", "type=Opaque", {"type": "Opaque"}),
        ("Namespace", "status.phase!=Terminating", {"status": {"phase": "Active"}}),
        ("Event", "source=kubelet", {"reportingComponent": "kubelet"}),
        ("Event", "reason=a\\,b", {"reason": "a,b"}),
    ],
)
def test_what_kinds_offer_besides(kind, text, obj):
    assert selectors.parse_fields(text, kind).matches(obj)
    other = text.replace("!=", "=") if "!=" in text else text + "x"
    assert not selectors.parse_fields(other, kind).matches(obj)


def test_an_events_source_is_its_component():
    event = {"metadata": {"name": "e"}, "source": {"component": "scheduler"}}
    assert selectors.parse_fields("source=scheduler", "Event").matches(event)


def test_a_node_is_schedulable_unless_it_says_otherwise():
    assert selectors.parse_fields("spec.unschedulable=false", "Node").matches({"spec": {}})


def test_a_selector_for_one_name_says_so():
    assert selectors.parse_fields("metadata.name=p", "Pod").name == "p"
    assert selectors.parse_fields("metadata.name!=p", "Pod").name is None


def test_matcher_is_none_when_there_is_nothing_to_do():
    assert selectors.matcher("Pod", "", "") is None
    matcher = selectors.matcher("Pod", "app=web", "status.phase=Running")
    assert matcher is not None
    assert matcher(POD)
