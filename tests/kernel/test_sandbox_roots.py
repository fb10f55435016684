"""Containers' roots: volumes wherever somebody wants them, and the machine's files as they are."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from kernel.sandboxes import Lab, executed
from kernel.sandboxes import said as said_of

from netlab.agents.volumes import Owner, write_files
from netlab.errors import NetlabError
from netlab.kernel import mounts
from netlab.workload import etc_files, root
from netlab.workload.bounds import DISK, Tmpfs, bounds
from netlab.workload.sandbox import Command, base_environment, privileges
from netlab.workload.shells import shell_links
from netlab.workload.volume import Mount, Part

pytestmark = pytest.mark.root


MOUNTED: set[str] = set()
"""Every name in the path of a place at which something was mounted."""


@pytest.fixture(autouse=True)
def machines_files() -> Iterator[None]:
    """What containers share is the same afterwards, as far as it has names that mounts need:
    others may come and go meanwhile."""

    def entries() -> set[str]:
        places = ("/", "/etc", "/usr", "/usr/local", "/usr/bin", "/opt", "/dev/shm", "/run", "/var")
        return {f"{place}/{name}" for place in places for name in os.listdir(place)}  # noqa: PTH208

    MOUNTED.clear()
    before = entries()
    yield
    assert {entry for entry in entries() ^ before if Path(entry).name in MOUNTED} == set()


def filled(lab: Lab, name: str, text: str = "") -> Mount:
    """A volume with the file `f`, which says the volume's name; to be mounted by `at`."""
    directory = lab.volume(name)
    (directory / "f").write_text(text or name)
    for path in (directory, directory / "f"):
        path.chmod(0o777)
    return Mount(lab.source(directory), "")


def at(mount: Mount, target: str, *, sub_path: str = "", read_only: bool = False) -> Mount:
    parts = (Part(sub_path),) if sub_path else ()
    MOUNTED.update(Path(target).parts)
    return Mount(mount.source, target, read_only, parts, mount.scratch)


PLACES = (
    "/data",  # in the container's own root
    "/a/b/c",
    "/tmp/x",
    "/var/lib/app/data",
    "/run/x",
    "/dev/shm",
    "/dev/shm/x",
    "/dev/x",
    "/usr/share",  # over something of the machine's
    "/etc/ssl",
    "/usr/no-such",  # where the machine has nothing, at different depths
    "/usr/share/no/such",
    "/usr/share/doc/no/such/at/all",
    "/etc/no-such",
    "/etc/ssl/no/such",
    "/opt/app/conf",
    "/usr/local/no/such",
    "/usr/local/bin/no-such",
    "/bin/no-such",  # through links of the machine's, and of the container's
    "/lib/no/such",
    "/sbin/no-such",
    "/var/run/x",
    "/var/run/secrets/kubernetes.io/serviceaccount",
    "/var/lock/x",
    "/data/../other",
)


@pytest.mark.parametrize("users", [True, False], ids=["user namespace", "none"])
async def test_a_volume_can_be_anywhere(lab: Lab, users: bool) -> None:
    if not users:
        lab.use_namespace_without_users()
    volume = filled(lab, "v")
    for place in PLACES:
        script = f"cat {place}/f; echo >{place}/made; hostname; cat /etc/hostname"
        code, said = await lab.output("sh", "-c", script, mounts=[at(volume, place)])
        assert (code, said) == (0, "vdebug\ndebug\n"), place
        assert (lab.volume("v") / "made").exists(), place
        (lab.volume("v") / "made").unlink()


async def test_all_of_them_at_once(lab: Lab) -> None:
    """Overlays of the same directory are one, and no volume hides what another needs."""
    same = ("/usr/share", "/etc/ssl", "/dev/shm", "/var/run/x")  # as others, or above them
    alone = [place for place in PLACES if place not in same]
    mounts = [at(filled(lab, f"v{n}"), place) for n, place in enumerate(alone)]
    script = 'for place in "$@"; do cat $place/f; echo; done'
    said = await lab.output("sh", "-c", script, "sh", *alone, mounts=mounts)
    assert said == (0, "".join(f"v{n}\n" for n in range(len(alone))))
    # what the machine has beside them is there as before
    for machine in ("/usr/share/doc", "/etc/ssl", "/usr/local/bin", "/usr/bin", "/opt"):
        _, listed = await lab.output("ls", "-A", machine, mounts=mounts)
        names = {entry.name for entry in Path(machine).iterdir()}
        assert names <= set(listed.split()), machine


def test_what_is_not_in_another_volume_is_found_without_comparing_each_with_each() -> None:
    def sources(*targets: str) -> list[root.Source]:
        return [root.Source(-1, target, False) for target in targets]

    some = sources("/b", "/a/x", "/a", "/ab", "/a//x/", "/", "/b/./c")
    assert [each.target for each in root._outermost(some[:-2])] == ["/a", "/ab", "/b"]
    assert [each.target for each in root._outermost(some)] == ["/"]
    many = sources(*(f"/m{number}" for number in range(3000)))
    counted: list[str] = []
    sys.setprofile(lambda _frame, event, _arg: counted.append(event))
    try:
        found = len(list(root._outermost(many)))
    finally:
        sys.setprofile(None)
    assert (found, len(counted) < 100 * len(many)) == (len(many), True)


async def test_a_volume_can_be_as_deep_as_paths_go(lab: Lab) -> None:
    deep = "/usr/share" + "/d" * 1200
    mount = at(filled(lab, "v"), deep)
    assert await lab.output("cat", f"{deep}/f", mounts=[mount]) == (0, "v")


def test_what_cannot_be_cleared_away_does_not_undo_a_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root.discard(root.Root(tmp_path / "gone", tmp_path, None, ""))
    assert f"{tmp_path}/gone is left: " in capsys.readouterr().err


async def test_files_can_be_mounted_too(lab: Lab) -> None:
    volume = filled(lab, "v")
    places = ("/f", "/etc/motd", "/etc/no-such.conf", "/usr/no/such/f", "/tmp/f", "/etc/passwd")
    for place in places:
        mount = at(volume, place, sub_path="f")
        assert await lab.output("cat", place, mounts=[mount]) == (0, "v"), place
    mounts = [at(volume, place, sub_path="f") for place in places]
    assert await lab.output("cat", *places, mounts=mounts) == (0, "v" * len(places))


async def test_read_only_is_read_only(lab: Lab) -> None:
    volume = at(filled(lab, "v"), "/data", read_only=True)
    code, said = await lab.output("sh", "-c", "echo x >/data/f", mounts=[volume])
    assert (code, "Read-only file system" in said) == (2, True)
    again = at(volume, "/again")
    code, said = await lab.output("sh", "-c", "echo x >/again/f", mounts=[volume, again])
    assert (code, said) == (0, "")
    assert (lab.volume("v") / "f").read_text() == "x\n"


async def test_volumes_in_volumes(lab: Lab) -> None:
    outer, inner, deep = filled(lab, "outer"), filled(lab, "inner"), filled(lab, "deep")
    for base in ("/data", "/usr/no/such", "/var/run/x"):
        mounts = [at(deep, f"{base}/in/a/b"), at(outer, base), at(inner, f"{base}/in")]
        argv = ("cat", f"{base}/f", f"{base}/in/f", f"{base}/in/a/b/f")
        assert await lab.output(*argv, mounts=mounts) == (0, "outerinnerdeep"), base
    assert (lab.volume("outer") / "in").is_dir()
    assert (lab.volume("inner") / "a/b").is_dir()


async def test_two_volumes_below_one_directory_that_is_missing(lab: Lab) -> None:
    for base in ("/no/such", "/usr/no/such", "/etc/no/such", "/usr/local/no"):
        mounts = [at(filled(lab, name), f"{base}/{name}") for name in ("one", "two")]
        said = await lab.output("cat", f"{base}/one/f", f"{base}/two/f", mounts=mounts)
        assert said == (0, "onetwo"), base
        assert await lab.output("ls", base, mounts=mounts) == (0, "one\ntwo\n")


async def test_a_link_in_a_volume_leads_nowhere_but_in_the_pod(lab: Lab) -> None:
    """Neither as part of a subPath nor as part of a mountPath below another volume."""
    outside = lab.directory.parents[1] / "outside"
    outside.mkdir()
    (outside / "f").write_text("the machine's")
    volume = filled(lab, "v")
    directory = lab.volume("v")
    (directory / "part").mkdir()
    (directory / "part/f").write_text("inside")
    for target, expected in (
        ("part", "inside"),
        ("/part", "inside"),  # absolute is from the volume's top
        ("../../../../../part", "inside"),
    ):
        (directory / "link").unlink(missing_ok=True)
        (directory / "link").symlink_to(target)
        mount = at(volume, "/x", sub_path="link")
        assert await lab.output("cat", "/x/f", mounts=[mount]) == (0, expected), target
    for target in (str(outside), "/proc/self/root", "/proc/1/cwd", "link"):
        (directory / "link").unlink()
        (directory / "link").symlink_to(target)
        try:
            said = await lab.output("ls", "-A", "/x/", mounts=[mount])
        except NetlabError as error:
            assert '"link" in a volume' in error.message
        else:
            assert said == (0, ""), target
        # below /data the same: what is made for a volume is made in the first
        below = [at(volume, "/data"), at(filled(lab, "w"), "/data/link/deeper")]
        try:
            await lab.output("true", mounts=below)
        except NetlabError as error:
            assert "cannot be mounted at /data/link/deeper" in error.message
    assert [entry.name for entry in outside.iterdir()] == ["f"]


@pytest.mark.parametrize(
    ("target", "part", "words"),
    [
        ("/dev/null", "", "that is a file there, and the volume is a directory"),
        ("/etc/hosts", "", "that is a file there, and the volume is a directory"),
        ("/etc", "f", "that is a directory there, and the volume is a file"),
    ],
)
async def test_a_volume_is_mounted_only_where_its_like_is(
    lab: Lab, target: str, part: str, words: str
) -> None:
    mount = at(filled(lab, "v"), target, sub_path=part)
    with pytest.raises(NetlabError) as caught:
        await lab.output("true", mounts=[mount])
    assert f"a volume cannot be mounted at {target}: {words}" in caught.value.message


async def test_a_sub_path_that_is_missing_is_made_for_the_pod(lab: Lab) -> None:
    mount = at(filled(lab, "v"), "/x", sub_path="a/b/c")
    said = await lab.output("sh", "-c", "echo x >/x/f; stat -c %U:%a /x", mounts=[mount])
    assert said == (0, "root:777\n"), "as open as the volume"
    assert (lab.volume("v") / "a/b/c/f").read_text() == "x\n"


# -- what is written, outside of volumes -----------------------------------------------------------

WRITING = """
set -e
mkdir -p /usr/share/nginx/html /usr/local/no/such
for place in / /tmp /var /etc /etc/nginx/conf.d /usr /usr/bin /usr/share/nginx/html /root \\
  /usr/local/bin /opt /dev/shm
do echo new >$place/netlab-new; cat $place/netlab-new >>/tmp/read; done
echo 192.0.2.1 other >>/etc/hosts; echo user:x:1000:1000::/:/bin/sh >>/etc/passwd
sed -i s/debug/other/ /etc/hostname
rm /usr/bin/env; mv /usr/bin/id /usr/bin/who-am-i; who-am-i -u; ! test -e /usr/bin/env
wc -l </tmp/read; cat /etc/hostname; tail -n 1 /etc/hosts
"""
READ_ONLY = """
for place in / /tmp /var /etc /usr /usr/local/bin /opt /root /run
do touch $place/netlab-new 2>&1 | grep -c 'Read-only file system'; done | uniq -c | tr -d ' \\n'
echo x >/e/f && echo x >/dev/shm/f && echo x >/dev/null && cat /e/f /etc/hostname
"""


@pytest.mark.parametrize("users", [True, False], ids=["user namespace", "none"])
async def test_a_container_writes_where_its_image_would_let_it(lab: Lab, users: bool) -> None:
    if not users:
        lab.use_namespace_without_users()
    said = await lab.output("sh", "-c", WRITING)
    assert said == (0, "0\n12\nother\n192.0.2.1 other\n")
    for machine in ("/usr/bin/env", "/usr/bin/id"):
        assert Path(machine).exists()
    assert not list(Path("/").glob("netlab-new")) + list(Path("/usr").glob("netlab-new"))
    again = await lab.output("sh", "-c", "cat /etc/hostname; env true && ls /usr/netlab-new")
    assert (again[0], again[1].splitlines()[0]) == (2, "debug"), "it goes with the container"


async def test_a_shell_is_the_image_s_own(lab: Lab) -> None:
    """`$RANDOM` is 15 bits of busybox's ash, of bash, and nothing in Debian's sh."""
    machine = os.path.realpath("/bin/sh")
    for image, words in (("busybox", ("/bin/ash", "sh")), ("fedora", ("/bin/sh",))):
        links = {"main": shell_links({"name": "c", "image": image})}
        for word in words:
            place = msgspec.structs.replace(lab.place(), links=links)
            command = Command((word, "-c", "exit $((1 + $RANDOM / 32768))"), base_environment("d"))
            started = await lab.sandboxes.start(place, "main", command)
            assert (await started.wait()).code == 1, (image, word)
            await lab.sandboxes.remove(started.uid)
    assert os.path.realpath("/bin/sh") == machine


async def test_a_read_only_root_is_written_to_in_volumes_alone(lab: Lab) -> None:
    mounts = [scratch(lab, "/e"), scratch(lab, "/usr/no/such")]
    for tty in (False, True):
        said = await lab.output("sh", "-c", READ_ONLY, mounts=mounts, read_only=True, tty=tty)
        assert (said[0], said[1].split()) == (0, ["91x", "debug"]), tty


async def test_what_a_container_writes_is_bounded(lab: Lab) -> None:
    place = msgspec.structs.replace(lab.place(), bounds=bounds({"containers": [LIMITED]}))
    script = "head -c 100M /dev/zero >/usr/full; head -c 100M /dev/zero >/full; stat -c %s /full"
    command = Command(("sh", "-c", script), base_environment("debug"))
    started = await lab.sandboxes.start(place, "main", command)
    assert (await started.wait()).code == 0
    assert said_of(started).count("No space left on device") == 2


LIMITED = {"name": "main", "resources": {"limits": {"ephemeral-storage": "1Mi"}}}


# -- emptyDirs, Secrets and groups -----------------------------------------------------------------


def scratch(lab: Lab, target: str, name: str = "debug") -> Mount:
    return Mount(f"pods/uid-{name}/volumes/e", target, scratch=Tmpfs(DISK).options)


async def test_an_empty_volume_is_the_pods_and_outlives_its_containers(lab: Lab) -> None:
    mounts = [scratch(lab, "/e")]
    other = await lab.start("sleep", "1000", container="other", mounts=mounts)
    script = "cat /e/f; echo main >>/e/f"
    for count in range(3):  # what is run again finds what it has written
        started = await lab.start("sh", "-c", script, mounts=mounts)
        assert (await started.wait()).code == 0
        said = await executed(other, lab, "cat", "/e/f")
        assert said == (0, "main\n" * (count + 1), "")
    user = privileges({}, {"securityContext": {"runAsUser": 1000}})
    started = await lab.start("sh", "-c", "echo x >/e/users", mounts=mounts, privileges=user)
    assert (await started.wait()).code == 0
    # another pod's is another, and with the pod it is gone
    _, said = await lab.output("ls", "/e", name="web", mounts=[scratch(lab, "/e", "web")])
    assert said == ""
    await lab.sandboxes.remove("uid-debug")
    assert await lab.output("ls", "-A", "/e", mounts=mounts) == (0, "")


async def test_an_empty_volume_is_none_of_the_labs_own_memory(lab: Lab) -> None:
    argv = ("sh", "-c", "df --output=fstype,itotal /e | tail -1; stat -c %a:%U /e")
    mounts = [scratch(lab, "/e")]
    code, said = await lab.output(*argv, mounts=mounts)
    assert (code, said.split()) == (0, ["tmpfs", "65536", "777:root"])
    assert list((lab.pod() / "volumes").glob("*")) == []


async def test_a_secret_for_its_owner_alone_is_for_the_pods_root_and_its_group(lab: Lab) -> None:
    """defaultMode 0400: with an fsGroup that may read it too, and nobody else in any case."""
    as_user = {"securityContext": {"runAsUser": 1000, "runAsGroup": 1000}}
    assert lab.ids is not None
    mount = Mount(lab.source(lab.volume("s")), "/s", read_only=True)
    for shared, group in ((False, 0), (True, 2000)):
        owner = Owner(lab.ids.outside(0), lab.ids.outside(group), shared)
        write_files(lab.volume("s"), {"key": (b"s3cret", 0o400)}, owner)
        pod = {"securityContext": {"fsGroup": group}} if shared else {}
        argv = ("sh", "-c", "cat /s/key; stat -c ' %u:%g:%a' /s/key")
        root = await lab.output(*argv, mounts=[mount], privileges=privileges(pod, {}))
        mode = "440" if shared else "400"
        assert root == (0, f"s3cret 0:{group}:{mode}\n")
        user = privileges(pod, as_user)
        code, said = await lab.output("cat", "/s/key", mounts=[mount], privileges=user)
        assert (code, said.partition("key: ")[2]) == (
            (0, "") if shared else (1, "Permission denied\n")
        )
    (lab.volume("s") / "key").unlink()
    write_files(lab.volume("s"), {"key": (b"s3cret", 0o444)}, Owner(0, 0, False))
    assert (await lab.output("cat", "/s/key", mounts=[mount], privileges=user))[0] == 0


# -- a machine whose own file systems are overlays -------------------------------------------------


def is_overlay(place: str) -> bool:
    argv = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", place]
    kinds = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
    return kinds[-1] == "overlay"


def build_over_overlays(base: Path) -> None:
    """In a mount namespace of this process's own, where /usr and /etc are overlays already.

    In most containers they are anyway, and a second one would be the last that the kernel stacks.
    """
    mounts.leave_machines_mounts()
    mounts.make_private(Path("/"))
    (base / "more").mkdir()
    for place in ("/usr", "/etc"):
        if not is_overlay(place):
            with mounts.opened(place) as target:
                mounts.mount("overlay", target, f"lowerdir={base}/more:{place}")
        assert is_overlay(place)
    etc_files.write_pod_files(base / "pod", hostname="web", hosts="", resolv_conf="")
    (base / "volume").mkdir()
    (base / "volume/f").write_text("here")
    made = root.Root(base / "made", base / "pod", None, "size=16m")
    targets = ("/usr/no/such", "/usr/share/doc/no/such", "/etc/no/such", "/opt/no", "/lib/no")
    with mounts.opened(base / "volume") as volume:
        root.build(made, [root.Source(volume, target, False) for target in targets])
    for target in targets:
        assert (made.mount_point / target.lstrip("/") / "f").read_text() == "here", target
    for machine in ("usr/share", "etc", "usr/bin"):
        assert set(os.listdir(f"/{machine}")) <= set(os.listdir(made.mount_point / machine))  # noqa: PTH208
    assert (made.mount_point / "etc/hostname").read_text() == "web\n"
    root.discard(made)
    assert not made.directory.exists()


def test_a_machine_that_is_an_overlay_itself(tmp_path: Path) -> None:
    """The kernel stacks two and no more: one is the machine's, so ours is one at any depth."""
    process = multiprocessing.get_context("spawn").Process(
        target=build_over_overlays, args=(tmp_path,)
    )
    process.start()
    process.join(30)
    assert process.exitcode == 0
