"""What becomes of a built-in server whose configuration is mounted."""

from __future__ import annotations

import re
import subprocess

import pytest

from netlab.workload.behaviour import behaviour


def container(image, *places, **more):
    mounts = [{"name": f"v{number}", "mountPath": place} for number, place in enumerate(places)]
    return {"name": "c", "image": image, "volumeMounts": mounts, **more}


@pytest.mark.parametrize(
    ("image", "places", "program"),
    [
        ("nginx:1.27", ("/etc/nginx/conf.d",), "nginx"),
        ("nginx", ("/etc/nginx/nginx.conf",), "nginx"),
        ("docker.io/library/nginx", ("/usr/share/nginx/html", "/etc/nginx/"), "nginx"),
        ("httpd:2.4", ("/usr/local/apache2/conf/httpd.conf",), "httpd"),
        ("bprashanth/nginxhttps:1.0", ("/etc/nginx/ssl", "/etc/nginx/conf.d"), "nginx"),
    ],
)
def test_the_real_program_runs_where_the_machine_has_it(image, places, program):
    found = behaviour(container(image, *places), is_installed=lambda _: True)
    assert found.kind == "process"
    assert found.argv[:2] == ("sh", "-c")
    assert found.argv[3] == program


@pytest.mark.parametrize(
    ("image", "place", "said"),
    [
        ("nginx", "/etc/nginx/conf.d", "has no nginx; scripts/setup --with nginx installs it"),
        ("httpd", "/usr/local/apache2/conf", "has no apache2"),
        ("haproxy", "/usr/local/etc/haproxy", "does not read /usr/local/etc/haproxy"),
    ],
)
def test_what_is_built_in_says_that_it_reads_none(image, place, said):
    found = behaviour(
        container(image, place, ports=[{"containerPort": 80}]), is_installed=lambda _: False
    )
    assert found.kind == "server"
    assert said in found.message


@pytest.mark.parametrize(
    ("image", "place"),
    [("nginx", "/etc/nginxes"), ("redis", "/etc/redis")],
)
def test_other_volumes_change_nothing(image, place):
    plain = behaviour(container(image), is_installed=lambda _: True)
    assert behaviour(container(image, place), is_installed=lambda _: True) == plain


def test_a_command_of_the_manifest_runs_as_it_stands():
    own = container("nginx", "/etc/nginx", command=["sleep", "1"])
    assert behaviour(own, is_installed=lambda _: True).argv == ("sleep", "1")


HTTPD = """
ServerRoot "/usr/local/apache2"
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule log_config_module modules/mod_log_config.so
    loadmodule  unixd_module modules/mod_unixd.so
#LoadModule version_module modules/mod_version.so
"""


def test_debians_httpd_is_not_told_to_load_what_it_has(tmp_path):
    """It would not begin. It is not needed on the machine for this: who is asked says his file."""
    root, run = tmp_path / "apache2", tmp_path / "run"
    for directory in (root / "conf", run, tmp_path / "bin"):
        directory.mkdir(parents=True)
    (root / "conf/httpd.conf").write_text(HTTPD)
    httpd = tmp_path / "bin/apache2"
    httpd.write_text('#!/bin/sh\necho "$1 $2 $3 $4 $5"; cat "$4"\n')
    httpd.chmod(0o755)
    found = behaviour(
        container("httpd", "/usr/local/apache2/conf/httpd.conf"), is_installed=lambda _: True
    )
    # At once: where the tests are may have either in its name.
    places = {"/usr/local/apache2": str(root), "/run/httpd": f"{run}/httpd"}
    script = re.sub("|".join(places), lambda found: places[found[0]], found.argv[2])
    environment = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    argv = ["sh", "-c", script, "httpd"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment).stdout
    options, *lines = said.splitlines()
    assert options == f"-d {root} -f {run}/httpd.conf -DFOREGROUND"
    loaded = [line.split()[1] for line in lines if line.lower().lstrip().startswith("loadmodule")]
    assert loaded == ["mpm_event_module"]


def test_files_that_are_not_shown_beside_tls_are_told_of():
    ports = [{"containerPort": 80}, {"containerPort": 443, "name": "https"}]
    found = behaviour(container("nginx", "/usr/share/nginx/html", ports=ports))
    assert found.kind == "server"
    assert "shows no files of /usr/share/nginx/html" in found.message
