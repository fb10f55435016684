from netlab.objects.lab import lab_from_object
from netlab.view.next_steps import next_steps

LAB = lab_from_object(
    {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "l"}, "spec": {"nodes": 2}}
)


def test_names_what_the_lab_has() -> None:
    objects = [
        {"kind": "Service", "metadata": {"name": "web", "namespace": "shop"}},
        {"kind": "Pod", "metadata": {"name": "client"}},
        {"kind": "Pod", "metadata": {"name": "other"}},
    ]
    commands = [
        command for command, _ in next_steps(LAB, objects, checks=True, sudo=True, named=False)
    ]
    assert "netlab get pods,svc -o wide" in commands
    assert "netlab exec -it client -- sh" in commands
    assert "sudo netlab rules svc/web -n shop" in commands
    assert "sudo netlab check" in commands
    assert "sudo netlab down" in commands


def test_leaves_out_what_it_lacks() -> None:
    text = str([*next_steps(LAB, [], checks=False, sudo=False, named=False)])
    assert "exec -it" not in text
    assert "rules" not in text
    assert "check" not in text
    assert "sudo" not in text


def test_says_which_lab_is_meant_where_there_are_several() -> None:
    objects = [{"kind": "Pod", "metadata": {"name": "client"}}]
    steps = [step for step, _ in next_steps(LAB, objects, checks=True, sudo=False, named=True)]
    assert "netlab --lab l exec -it client -- sh" in steps
    assert all(step.startswith("netlab --lab l ") for step in steps)
