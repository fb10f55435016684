"""Servers whose configuration a pod brings along: then the real program runs in the pod.

What is built in answers as the image does out of the box, and reads no configuration. Where one is
mounted, this machine's own program is started in the pod, as any command is, after a script has
laid out the files that its image has and Debian's package has not, or has otherwise.

Pure, but for `installed` of `behaviour`, which says whether the machine has the program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from netlab.objects.types import Container

_NGINX = r"""
set -e
mkdir -p /var/log/nginx /var/cache/nginx /var/lib/nginx /etc/nginx/conf.d /usr/share/nginx/html
ln -sf /dev/stdout /var/log/nginx/access.log
ln -sf /dev/stderr /var/log/nginx/error.log
grep -q ^nginx: /etc/passwd || echo nginx:x:101:101:nginx:/nonexistent:/bin/false >>/etc/passwd
grep -q ^nginx: /etc/group || echo nginx:x:101: >>/etc/group
mounted() { grep -q " $1 " /proc/self/mountinfo; }
mounted /etc/nginx || mounted /etc/nginx/nginx.conf || {
rm -f /etc/nginx/nginx.conf
cat >/etc/nginx/nginx.conf <<'END'
user nginx;
worker_processes 1;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}
END
}
mounted /etc/nginx || mounted /etc/nginx/conf.d || mounted /etc/nginx/conf.d/default.conf || {
cat >/etc/nginx/conf.d/default.conf <<'END'
server {
    listen 80;
    server_name localhost;
    location / { root /usr/share/nginx/html; index index.html index.htm; }
}
END
}
exec nginx -g 'daemon off;'
"""

# Debian's has modules within it that the image's loads, and would not begin if it were told to.
_HTTPD = r"""
set -e
cd /usr/local/apache2
mkdir -p logs htdocs || true
test -e modules || ln -s /usr/lib/apache2/modules modules
mounted() { grep -q " $PWD/$1 " /proc/self/mountinfo; }
mounted conf || {
mkdir -p conf/extra
test -e conf/mime.types || ln -s /etc/mime.types conf/mime.types
test -e /etc/mime.types || echo text/html html htm >/etc/mime.types
test -e conf/httpd.conf || cat >conf/httpd.conf <<'END'
ServerRoot "/usr/local/apache2"
Listen 80
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule authz_host_module modules/mod_authz_host.so
LoadModule mime_module modules/mod_mime.so
LoadModule env_module modules/mod_env.so
LoadModule headers_module modules/mod_headers.so
LoadModule setenvif_module modules/mod_setenvif.so
LoadModule autoindex_module modules/mod_autoindex.so
LoadModule dir_module modules/mod_dir.so
LoadModule alias_module modules/mod_alias.so
User www-data
Group www-data
<Directory />
    AllowOverride none
    Require all denied
</Directory>
DocumentRoot "/usr/local/apache2/htdocs"
<Directory "/usr/local/apache2/htdocs">
    Options Indexes FollowSymLinks
    AllowOverride None
    Require all granted
</Directory>
DirectoryIndex index.html
<Files ".ht*">
    Require all denied
</Files>
ErrorLog /proc/self/fd/2
LogLevel warn
LogFormat "%h %l %u %t \"%r\" %>s %b" common
CustomLog /proc/self/fd/1 common
TypesConfig conf/mime.types
END
}
within='(log_config|logio|unixd|version|watchdog)_module'
sed -E "/^[[:space:]]*LoadModule[[:space:]]+$within[[:space:]]/Id" conf/httpd.conf >/run/httpd.conf
exec apache2 -d /usr/local/apache2 -f /run/httpd.conf -DFOREGROUND
"""


class Real(Struct, frozen=True):
    """A real server: its program, the script that starts it, and what brings it."""

    program: str
    script: str
    hint: str


_REAL: Mapping[str, Real] = {
    "nginx": Real("nginx", _NGINX, "scripts/setup --with nginx installs it"),
    "httpd": Real("apache2", _HTTPD, "apt-get install apache2-bin installs it"),
}
_PLACES: Mapping[str, tuple[str, ...]] = {
    "nginx": ("/etc/nginx",),
    "httpd": ("/usr/local/apache2/conf",),
    "caddy": ("/etc/caddy",),
    "haproxy": ("/usr/local/etc/haproxy", "/etc/haproxy"),
    "envoy": ("/etc/envoy",),
    "traefik": ("/etc/traefik",),
}
"""Where images keep their configuration, by what a word of their repository begins with
(`nginxhttps` is nginx)."""


class Configured(Struct, frozen=True):
    """A server that has a configuration of its own: the command that runs it, or, if there is none
    here (`argv` is empty), what is to be told of it."""

    argv: tuple[str, ...] = ()
    message: str = ""


def configured(
    container: Container,
    repository: str,
    is_installed: Callable[[str], bool],
) -> Configured | None:
    """What becomes of a built-in server of that repository; None if no configuration is mounted."""
    parts = repository.rpartition("/")[2].split("-")
    word = next((one for one in _PLACES if any(part.startswith(one) for part in parts)), None)
    if word is None:
        return None
    places = [one["mountPath"] for one in container.get("volumeMounts") or ()]
    mounted = [one for one in places if _is_in(one, _PLACES[word])]
    if not mounted:
        return None
    real = _REAL.get(word)
    if real is not None and is_installed(real.program):
        return Configured(("sh", "-c", real.script, word))
    message = (
        f"container {container['name']}: the built-in {word} does not read {mounted[0]}, and "
        "answers as its image does by default"
    )
    if real is None:
        return Configured(message=message)
    return Configured(message=f"{message}: this machine has no {real.program}; {real.hint}")


def _is_in(path: str, places: Sequence[str]) -> bool:
    return any(f"{path.rstrip('/')}/".startswith(f"{place}/") for place in places)
