"""The table of verbs: what `netlab --help` lists, in which order, and where each one lives.

Kept as data, so that help and completion need not import the verbs.
"""

from __future__ import annotations

from msgspec import Struct


class Group(Struct, frozen=True):
    """The package of `netlab.cli` that a group of verbs is in, and its title in `netlab --help`.

    What its verbs do they do by an API server alone, whosever that is, if `by_api`; else on this
    machine.
    """

    package: str
    title: str
    by_api: bool = False


class Verb(Struct, frozen=True):
    """A verb's name, the group it is listed under, and its line in `netlab --help`."""

    name: str
    group: Group
    summary: str
    verbatim: bool = False
    """True when all that follows is another program's: the verb has `run_words`, and no parser."""

    aliases: tuple[str, ...] = ()
    """Other words for a part: `create deploy`."""

    parts: tuple[Verb, ...] = ()
    """Verbs of two words, such as `rollout status`, each with a module and a parser of its own."""

    @property
    def module(self) -> str:
        """The module that implements it: `changes.rollout_status_` for `rollout status`."""
        return f"netlab.cli.{self.group.package}.{self.name.strip('_').replace(' ', '_')}_"

    @property
    def word(self) -> str:
        """The last word of its name."""
        return self.name.split()[-1]

    def part(self, word: str) -> Verb | None:
        """The part of that name."""
        return next((one for one in self.parts if word in (one.word, *one.aliases)), None)


LAB = Group("lab", "The lab")
OBJECTS = Group("objects", "Objects, as kubectl has them", by_api=True)
CHANGES = Group("changes", "Changes to objects, as kubectl makes them", by_api=True)
PODS = Group("pods", "Inside pods", by_api=True)
PACKETS = Group("packets", "Rules and packets")


def _parts(group: Group, *parts: tuple[str, str] | tuple[str, str, str]) -> tuple[Verb, ...]:
    """Parts from (name, summary, alias)."""
    return tuple(Verb(name, group, summary, aliases=tuple(more)) for name, summary, *more in parts)


_CREATE = _parts(
    OBJECTS,
    ("create deployment", "make a Deployment of an image", "deploy"),
    ("create job", "make a Job of an image, or of a CronJob"),
    ("create cronjob", "make a CronJob: Jobs of an image, by the clock", "cj"),
    ("create service", "make a Service: clusterip, nodeport, loadbalancer, externalname", "svc"),
    ("create namespace", "make a Namespace", "ns"),
    ("create configmap", "make a ConfigMap from files and literal values", "cm"),
    ("create secret", "make a Secret from files and literal values"),
)
_NODE = _parts(
    LAB,
    ("node stop", "switch a node off, as if its power failed"),
    ("node start", "switch a node on again"),
    ("node add", "make one more node"),
    ("node remove", "empty a node, and take it away", "rm"),
)
_ROLLOUT = _parts(
    CHANGES,
    ("rollout status", "wait until a rollout is done, saying how far it is"),
    ("rollout history", "list the revisions of a workload"),
    ("rollout undo", "go back to an earlier revision"),
    ("rollout restart", "replace all pods, in the way of a rollout"),
    ("rollout pause", "hold a rollout; changes are kept until it is resumed"),
    ("rollout resume", "go on with a rollout that was paused"),
)
_GRAPH = _parts(
    PACKETS,
    ("graph rules", "draw a Service's chains on a node, with chances and counters"),
    ("graph trace", "draw the journey of a packet that was traced"),
)
_PROVE = _parts(
    PACKETS,
    ("prove diff", "tell every class of packets that two rulesets treat otherwise"),
    ("prove lint", "find rules that no packet reaches, and jumps that lead nowhere"),
)
_SET = _parts(CHANGES, ("set image", "change the images of containers"))

VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb("up", LAB, "bring a lab up from its file, or make it match a changed file"),
        Verb("down", LAB, "take a lab down and leave nothing of it"),
        Verb("status", LAB, "show the lab: its nodes, networks and what runs"),
        Verb("node", LAB, "stop, start, add, remove nodes while the lab runs", parts=_NODE),
        Verb("doctor", LAB, "check this machine: kernel, tools, leftovers, each with its fix"),
        Verb("kubeconfig", LAB, "print how Kubernetes clients reach the lab's API"),
        Verb("kubectl", LAB, "run this machine's kubectl against the lab", verbatim=True),
        Verb("completion", LAB, "print the completion script for bash or zsh"),
        Verb("help", LAB, "explain a verb, or a topic such as architecture"),
        Verb("get", OBJECTS, "list objects, or show them as YAML or JSON"),
        Verb("describe", OBJECTS, "show objects in full, with their events"),
        Verb("apply", OBJECTS, "create objects from files, or change them to match"),
        Verb("create", OBJECTS, "create objects from files or from options", parts=_CREATE),
        Verb("delete", OBJECTS, "delete objects"),
        Verb("expose", OBJECTS, "make a Service for a Deployment, ReplicaSet, Pod or Service"),
        Verb("wait", OBJECTS, "wait for a condition, a value or a deletion"),
        Verb("scale", CHANGES, "set the number of replicas"),
        Verb("rollout", CHANGES, "watch, undo, restart, pause a rollout", parts=_ROLLOUT),
        Verb("set", CHANGES, "change the images of a workload", parts=_SET),
        Verb("label", CHANGES, "set or remove labels"),
        Verb("annotate", CHANGES, "set or remove annotations"),
        Verb("patch", CHANGES, "change fields of an object"),
        Verb("edit", CHANGES, "change an object in your editor"),
        Verb("run", PODS, "create and run one pod"),
        Verb("exec", PODS, "run a command in a pod"),
        Verb("shell", PODS, "open a shell on a node, on a client or in a pod"),
        Verb("logs", PODS, "print what a pod's container wrote"),
        Verb("forward", PACKETS, "reach ports of nodes from this machine's 127.0.0.1"),
        Verb("why", PACKETS, "say whether a Service answers, and if not, why"),
        Verb("trace", PACKETS, "send one packet, and tell which rules sent it where, and why"),
        Verb("watch", PACKETS, "tell of each new connection: who opens it, and where it leads"),
        Verb("top", PACKETS, "show live what Services, endpoints, nodes and DNS have to do"),
        Verb("capture", PACKETS, "write the packets of all namespaces into one file for Wireshark"),
        Verb("rules", PACKETS, "show a Service's rules on a node as a tree, with counters"),
        Verb("graph", PACKETS, "draw the lab, a Service's rules, a packet's way", parts=_GRAPH),
        Verb(
            "proxy", PACKETS, "render, compare or program kube-proxy's rules from objects in files"
        ),
        Verb("prove", PACKETS, "say of all packets at once what rules do with them", parts=_PROVE),
        Verb("check", PACKETS, "prove packet paths with probes and captures at each hop"),
    )
}

OF_KUBECTL = {
    "": (
        "api-resources", "api-versions", "attach", "auth",
        "cluster-info", "cordon", "cp", "debug", "diff", "drain", "events", "explain",
        "kustomize", "port-forward", "replace", "taint", "uncordon",
    ),
    "create ": (
        "clusterrole", "clusterrolebinding", "ingress", "poddisruptionbudget", "priorityclass",
        "quota", "role", "rolebinding", "serviceaccount", "token",
    ),
    "set ": ("env", "resources", "selector", "serviceaccount", "subject"),
}  # fmt: skip
"""Verbs, and below a verb its parts, that netlab leaves to kubectl."""

HIDDEN = Verb("__complete", LAB, "what the completion scripts ask")

GLOBAL_WITH_VALUE = ("--lab", "--kubeconfig", "--context", "-n", "--namespace")
"""Options that may stand before the verb as well."""


def resolve(verb: Verb, words: list[str]) -> tuple[Verb, list[str]]:
    """(rollout, [-n, x, status, y]) → (rollout status, [-n, x, y]).

    The verb itself when no part is named. A word that is none is left for the caller to refuse.
    """
    at = 0
    while at < len(words) and words[at].startswith(GLOBAL_WITH_VALUE):
        at += 2 if words[at] in GLOBAL_WITH_VALUE else 1
    part = verb.part(words[at]) if at < len(words) else None
    return (part, words[:at] + words[at + 1 :]) if part else (verb, words)
