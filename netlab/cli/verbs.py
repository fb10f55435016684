"""The table of verbs: what `netlab --help` lists, in which order, and where each one lives.

Kept as data, so that help and completion need not import the verbs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """A verb's name, the group it is listed under, and its line in `netlab --help`."""

    name: str
    group: str
    summary: str
    verbatim: bool = False
    """True when all that follows is another program's: the verb has `run_words`, and no parser."""

    @property
    def module(self) -> str:
        """The module that implements it."""
        return f"netlab.cli.{self.name.strip('_')}_"


LAB, OBJECTS, PODS, SIGHT = (
    "The lab",
    "Objects, as kubectl has them",
    "Inside pods",
    "Rules and packets",
)

VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb("up", LAB, "bring a lab up from its file, or make it match a changed file"),
        Verb("down", LAB, "take a lab down and leave nothing of it"),
        Verb("status", LAB, "show the lab: its nodes, networks and what runs"),
        Verb("doctor", LAB, "check this machine: kernel, tools, leftovers, each with its fix"),
        Verb("kubeconfig", LAB, "print how Kubernetes clients reach the lab's API"),
        Verb("kubectl", LAB, "run this machine's kubectl against the lab", verbatim=True),
        Verb("completion", LAB, "print the completion script for bash or zsh"),
        Verb("get", OBJECTS, "list objects, or show them as YAML or JSON"),
        Verb("describe", OBJECTS, "show objects in full, with their events"),
        Verb("apply", OBJECTS, "create objects from files, or change them to match"),
        Verb("delete", OBJECTS, "delete objects"),
        Verb("scale", OBJECTS, "set the number of replicas"),
        Verb("expose", OBJECTS, "make a Service for a Deployment, ReplicaSet, Pod or Service"),
        Verb("run", PODS, "create and run one pod"),
        Verb("exec", PODS, "run a command in a pod"),
        Verb("logs", PODS, "print what a pod's container wrote"),
        Verb("rules", SIGHT, "show a Service's rules on a node as a tree, with counters"),
        Verb("proxy", SIGHT, "render, compare or program kube-proxy's rules from objects in files"),
        Verb("check", SIGHT, "prove packet paths with probes and captures at each hop"),
    )
}

HIDDEN = Verb("__complete", "", "what the completion scripts ask")

GLOBAL_WITH_VALUE = ("--lab", "-n", "--namespace")
"""Options that may stand before the verb as well."""
