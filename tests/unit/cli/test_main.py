"""Command lines as they are typed, up to where a lab would be needed."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

import netlab.cli.objects.get_
import netlab.cli.pods.exec_
from netlab.cli import main as entry
from netlab.cli.packets import check_
from netlab.cli.verbs import HIDDEN, VERBS, Verb
from netlab.errors import UsageError
from netlab.kernel import basedir, paths

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def no_labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.RUN_VARIABLE, str(tmp_path))
    monkeypatch.delenv("NETLAB_LAB", raising=False)
    return tmp_path


def run(*words: str) -> int:
    try:
        return entry.main(words)
    except SystemExit as end:  # argparse's own
        return int(end.code or 0)


@pytest.mark.parametrize("words", [(), ("-h",), ("--help",), ("help",)])
def test_help_lists_every_verb_in_its_group(words: tuple[str, ...], capsys: Capture) -> None:
    assert run(*words) == 0
    out = capsys.readouterr().out
    assert "\nThe lab:\n  up " in out
    assert all(f"\n  {name} " in out for name in VERBS)
    assert HIDDEN.name not in out


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself_with_examples(verb: str, capsys: Capture) -> None:
    assert run("help", verb) == 0
    out = capsys.readouterr().out
    assert f"netlab {verb}" in out
    if not VERBS[verb].verbatim:
        assert run(verb, "--help") == 0
        assert capsys.readouterr().out == out


def test_version(capsys: Capture) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("netlab 0.")


@pytest.mark.parametrize(
    ("word", "near"), [("gte", "get"), ("log", "logs"), ("destroy", "down"), ("stop", "down")]
)
def test_unknown_verbs_get_a_guess(word: str, near: str, capsys: Capture) -> None:
    assert run(word) == 2
    err = capsys.readouterr().err
    assert err == f"error: there is no verb '{word}'\n  hint: did you mean 'netlab {near}'?\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("get",), "which objects?"),
        (("get", "bananas"), 'the server doesn\'t have a resource type "bananas"'),
        (("get", "pods", "-o", "foo"), "there is no format 'foo'"),
        (("get", "pod", "x", "-A"), "cannot be retrieved by name across all namespaces"),
        (("get", "pods,svc", "-w"), "watch shows the table of one kind"),
        (("get", "--bogus"), "unrecognized arguments: --bogus"),
        (("run", "x", "--image=i", "--bogus={a: b}"), "unrecognized arguments: --bogus={a: b}"),
        (("up",), "which lab?"),
        (("up", "/nonexistent.yaml"), "there is no such file"),
        (("apply",), "required: -f/--filename"),
        (("exec",), "required: POD"),
        (("exec", "pod"), "what is to be run?"),
        (("exec", "pod", "ls"), "the command stands behind --"),
        (("logs", "p", "--tail", "x"), "invalid int value: 'x'"),
        (("logs", "p", "--since", "5x"), "'5x' is no duration"),
        (("run", "x"), "required: --image"),
        (("run", "x", "--image=i", "--rm"), "--rm should only be used for attached"),
        (("run", "x", "--image=i", "--expose"), "--expose needs a port"),
        (("scale", "deploy/x"), "required: --replicas"),
        (("scale", "deploy/x", "--replicas=-1"), "cannot be negative"),
        (("expose", "deploy"), "expose one thing at a time"),
        (("delete",), "which objects?"),
        (("completion", "fish"), "invalid choice: 'fish'"),
        (("-n",), "which verb?"),
        (("--halp",), "there is no flag --halp without a verb"),
    ],
)
def test_mistakes_are_named_with_a_hint(
    words: tuple[str, ...], message: str, capsys: Capture
) -> None:
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert message in captured.err
    if "no such file" not in message:
        assert "\n  hint: " in captured.err


def test_a_missing_argument_gets_an_example(capsys: Capture) -> None:
    run("apply")
    assert capsys.readouterr().err.endswith("hint: such as: netlab apply -f web.yaml\n")


def test_who_is_root_without_sudo_is_not_told_to_use_it(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    hints = {"rules": "netlab rules svc/web", "up": "netlab up topologies/quickstart.yaml"}
    for verb, hint in hints.items():
        monkeypatch.setenv("SUDO_USER", "her")
        run(verb)
        assert f": sudo {hint}\n" in capsys.readouterr().err
        monkeypatch.delenv("SUDO_USER")
        run(verb)
        assert f": {hint}\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [("get", "pods"), ("describe", "svc/x"), ("logs", "x"), ("exec", "x", "--", "y")]
)
def test_without_a_lab(
    words: tuple[str, ...], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "her")
    assert run(*words) == 1
    assert capsys.readouterr().err == (
        "error: no lab is running\n  hint: sudo netlab up topologies/quickstart.yaml\n"
    )


def test_with_several_labs_one_must_be_named(no_labs: Path, capsys: Capture) -> None:
    basedir.make_lab(no_labs / "a")
    basedir.make_lab(no_labs / "b")
    assert run("get", "pods") == 2
    assert "--lab" in capsys.readouterr().err
    assert run("--lab", "c", "get", "pods") == 1
    assert "there is no lab named c\n  hint: running: a, b" in capsys.readouterr().err
    for words in (("--lab=a", "get", "pods"), ("get", "--lab", "a", "pods")):
        assert run(*words) == 1
        assert "the controller of lab a is not running" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["get", "-nkube-system", "pods", "-owide", "x", "--show-labels"],
        ["get", "pods", "x", "--show-labels", "-o", "wide", "--namespace=kube-system"],
        ["-n", "kube-system", "get", "pods", "--output=wide", "--show-labels", "x"],
    ],
)
def test_flags_stand_where_they_like(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:

    seen = []
    monkeypatch.setattr(
        netlab.cli.objects.get_, "run", lambda arguments: seen.append(arguments) or 0
    )
    assert run(*words) == 0
    (found,) = seen
    assert found.targets == ["pods", "x"]
    assert (found.namespace, found.output, found.show_labels) == ("kube-system", "wide", True)


def test_what_follows_two_dashes_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:

    seen = []
    monkeypatch.setattr(netlab.cli.pods.exec_, "run", lambda arguments: seen.append(arguments) or 0)
    assert run("exec", "-it", "pod", "--", "ls", "-n", "--", "x") == 0
    assert seen[0].command_words == ["ls", "-n", "--", "x"]
    assert seen[0].namespace == "default"


LAB = """apiVersion: netlab/v1
kind: Lab
metadata: {name: mine}
spec: {nodes: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: c, image: nginx}]}
"""


def test_up_brings_up_no_lab_but_the_one_that_is_named(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(LAB)
    assert run("up", str(file), "--lab", "other") == 2
    assert "the files hold lab mine, not other\n  hint: leave --lab out" in capsys.readouterr().err
    assert run("up", str(file), "--lab", "mine", "--dry-run") == 0


def test_a_dry_run_can_be_read_by_programs(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(LAB)
    assert run("up", str(file), "--dry-run", "-o", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["lab"] == "mine"
    assert "ip netns add mine.master001" in found["commands"]
    assert found["objects"] == [{"resource": "pod", "name": "p", "namespace": "default"}]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("pu",), "did you mean 'netlab up'?"),
        (("my/lab.yaml",), "did you mean 'netlab up my/lab.yaml'?"),
        (("up", "x.yaml", "--dryrun"), "did you mean --dry-run?"),
        (("get", "pods", "--namspace=x"), "did you mean --namespace?"),
        (("--halp",), "did you mean --help?"),
        (("auth", "can-i", "get", "pods"), "kubectl has it: netlab kubectl auth …"),
        (("create", "token", "default"), "kubectl has it: netlab kubectl create token …"),
        (("set", "env", "deploy/x"), "kubectl has it: netlab kubectl set env …"),
        (("proxy", "rendr", "-f", "x"), "did you mean render?"),
        (("--verison",), "did you mean --version?"),
        (("up", "x.yaml", "--zzz"), "netlab up --help"),
    ],
)
def test_hints_name_what_was_most_likely_meant(
    words: tuple[str, ...], hint: str, capsys: Capture
) -> None:
    assert run(*words) == 2
    assert capsys.readouterr().err.endswith(f"  hint: {hint}\n")


@pytest.mark.parametrize("verb", ["rollout", "set", "create"])
def test_the_usage_of_verbs_in_two_words_has_place_for_the_second(
    verb: str, capsys: Capture
) -> None:
    assert run(verb, "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: netlab {verb} WHAT [ARGUMENTS]\n")


def test_a_lab_named_by_the_environment_is_said_to_be(
    no_labs: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    basedir.make_lab(no_labs / "a")
    monkeypatch.setenv("NETLAB_LAB", "gone")
    assert run("get", "pods") == 1
    assert capsys.readouterr().err == (
        "error: there is no lab named gone, which NETLAB_LAB says\n  hint: running: a\n"
    )


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        (["pass"], "1 passed"),
        (["pass", "pass"], "all 2 passed"),
        (["pass", "fail"], "1 of 2 failed"),
        (["error", "error"], "2 of 2 could not run"),
        (["fail", "error", "pass"], "1 of 3 failed, 1 of 3 could not run"),
    ],
)
def test_what_could_not_run_has_not_failed(statuses: list[str], verdict: str) -> None:
    assert check_._verdict(statuses) == verdict


def test_the_name_of_a_check_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checks").touch()
    check_._refuse_names(["checks", "-", "none.yaml", "no/file"])
    with pytest.raises(UsageError) as refused:
        check_._refuse_names(["to-web"])
    assert refused.value.hint == "for the check of that name: --only to-web"


CONFIG = """kind: Config
current-context: one
contexts:
- {name: one, context: {cluster: one, namespace: team}}
- {name: two, context: {cluster: two}}
clusters:
- {name: one, cluster: {server: "http://127.0.0.1:1"}}
- {name: two, cluster: {server: "http://127.0.0.1:2"}}
"""


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    path = tmp_path / "config"
    path.write_text(CONFIG)
    return str(path)


@pytest.mark.parametrize(
    ("words", "server", "namespace"),
    [
        (["get", "pods", "--kubeconfig", "FILE"], "http://127.0.0.1:1", "team"),
        (["--kubeconfig=FILE", "get", "pods"], "http://127.0.0.1:1", "team"),
        (["--kubeconfig", "FILE", "-n", "x", "get", "pods"], "http://127.0.0.1:1", "x"),
        (["--context", "two", "get", "pods", "--kubeconfig=FILE"], "http://127.0.0.1:2", "default"),
    ],
)
def test_a_kubeconfig_says_whom_to_ask_and_where(
    kubeconfig: str,
    words: list[str],
    server: str,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    monkeypatch.setattr(netlab.cli.objects.get_, "run", lambda given: seen.append(given) or 0)
    assert run(*(word.replace("FILE", kubeconfig) for word in words)) == 0
    assert (seen[0].server.url, seen[0].namespace) == (server, namespace)


def test_a_context_alone_is_one_of_the_usual_files(
    kubeconfig: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    assert run("get", "pods", "--context", "two") == 1
    assert "no API server answers at http://127.0.0.1:2: " in capsys.readouterr().err
    assert run("get", "pods") == 1
    assert "no lab is running" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--kubeconfig", "--context"])
@pytest.mark.parametrize("verb", [v for v in VERBS.values() if not v.group.by_api])
def test_what_needs_this_machine_refuses_a_kubeconfig(
    verb: Verb, flag: str, kubeconfig: str, capsys: Capture
) -> None:
    name = verb.parts[0].name if verb.parts else verb.name
    for words in ((*name.split(), flag, kubeconfig), (f"{flag}={kubeconfig}", *name.split(), "x")):
        assert run(*words) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"error: netlab {name} works on this machine itself, which no")
        assert f"hint: leave {flag} out" in said


def test_a_bad_kubeconfig_is_wrong_input(kubeconfig: str, capsys: Capture) -> None:
    Path(kubeconfig).write_text(CONFIG.replace("cluster: one,", "cluster: ore,"))
    assert run("get", "pods", "--kubeconfig", kubeconfig) == 2
    assert capsys.readouterr().err == (
        f'error: {kubeconfig}:4: contexts[0].context.cluster: there is no cluster "ore"\n'
        "  hint: did you mean one?\n"
    )
    assert run("apply", "-f", "x", "--kubeconfig", "/nonexistent") == 2
    assert capsys.readouterr().err.startswith("error: /nonexistent: there is no such file\n")


def test_a_server_that_is_no_labs_is_not_explained_as_a_labs(
    kubeconfig: str, capsys: Capture
) -> None:
    """One that hangs up: `netlab status` would know nothing of it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        Path(kubeconfig).write_text(CONFIG.replace("http://127.0.0.1:1", url))
        hanging_up = threading.Thread(target=lambda: listening.accept()[0].close())
        hanging_up.start()
        assert run("get", "pods", "--kubeconfig", kubeconfig) == 1
        hanging_up.join()
    said = capsys.readouterr().err
    assert said == (
        "error: the connection to the API server was lost\n"
        f"  hint: ask it again, or see how {url} is: it is no lab's\n"
    )


def test_tab_knows_the_contexts(kubeconfig: str, capsys: Capture) -> None:
    assert run("__complete", "get", "--kubeconfig", kubeconfig, "--context", "") == 0
    assert capsys.readouterr().out == "one\ntwo\n"
