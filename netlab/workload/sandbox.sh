#!/bin/sh
# How a command gets into a pod. netlab runs this text with `sh -c`, so it needs no file in the pod.
#
#   start ROOT FSTAB HOSTNAME  HOW...  COMMAND [ARG...]
#       becomes the container's first process. We were born in the pod's network namespace and as
#       process 1 of a PID namespace; `unshare` has given us mount, UTS and IPC namespaces.
#   idle  ROOT FSTAB HOSTNAME
#       the same, with a first process that does nothing: something to enter later.
#   enter HOW...  COMMAND [ARG...]
#       runs another command there, in namespaces that `nsenter` has joined.
#
# HOW is TERMINAL IDENTITY CAPABILITIES DIRECTORY HINT PATH COUNT NAME=VALUE...:
# TERMINAL is yes or no; IDENTITY is uid:gid, or empty for root; CAPABILITIES is what may be used,
# as setpriv(1) writes it; HINT is said when COMMAND is not installed; COMMAND is looked for in
# PATH, and gets COUNT environment variables. They are words here and not our own environment,
# as that could lead our own tools astray (LD_PRELOAD), and a shell loses names like `a.b`.
# On descriptor 3 netlab hears `ready`, or why the command could not be started.
set -eu

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

fail() { # STATUS MESSAGE: the words of a container runtime, and its exit codes
    printf '%s\n' "$2" >&2
    printf '%s\n' "$2" >&3
    exit "$1"
}

make_root() { # ROOT FSTAB HOSTNAME TERMINAL
    printf '%s\n' "$3" >/proc/sys/kernel/hostname
    # The pod's whole file system is written down in FSTAB: this machine's, read-only, with
    # private places to write. Mounting it here shows it to nobody else.
    mount --all --fstab "$2" || fail 128 "cannot mount the pod's file system (see $2)"
    # The terminal comes from the machine's /dev/pts; tty(1) in the pod finds it by this name.
    if [ "$4" = yes ]; then mount --bind "$(tty)" "$1/dev/console"; fi
    cd "$1"
    # Make ROOT the root, put the old root on top of it, take that away: no path leads back.
    pivot_root . .
    umount --lazy .
    cd /
}

find_program() { # COMMAND PATH: fails unless it can be executed
    case $1 in
    */*)
        [ -e "$1" ] || fail 127 "exec: \"$1\": stat $1: no such file or directory$hint"
        if [ -d "$1" ]; then fail 126 "exec: \"$1\": is a directory"; fi
        [ -x "$1" ] || fail 126 "exec: \"$1\": permission denied"
        return
        ;;
    esac
    separator=$IFS
    IFS=:
    for place in $2; do
        if [ -x "${place:-.}/$1" ] && [ ! -d "${place:-.}/$1" ]; then
            IFS=$separator
            return
        fi
    done
    fail 127 "exec: \"$1\": executable file not found in \$PATH$hint"
}

run() { # HOW... COMMAND [ARG...]
    terminal=$1 identity=$2 capabilities=$3 directory=$4 hint=${5:+"
$5"}
    pod_path=$6 variables=$7 command=
    shift 7
    eval "command=\${$((variables + 1))}"
    cd "$directory" 2>/dev/null ||
        fail 128 "chdir to cwd (\"$directory\") failed: no such file or directory"
    find_program "$command" "$pod_path"
    set -- "$(command -v env)" -i -- "$@"
    # Root in a pod keeps the few capabilities a container has, and can never gain others.
    set -- --no-new-privs --inh-caps=-all --bounding-set="-all,$capabilities" -- "$@"
    if [ -n "$identity" ]; then
        set -- --reuid="${identity%:*}" --regid="${identity#*:}" --clear-groups "$@"
    fi
    # A session of its own; with a terminal, this terminal controls it (Ctrl-C, job control).
    setpriv=$(command -v setpriv)
    setsid=$(command -v setsid)
    if [ "$action" = start ]; then
        # Should netlab's own process die, nobody could say any more how this one ended.
        set -- --pdeathsig=KILL "$@"
    fi
    echo ready >&3
    if [ "$terminal" = yes ]; then
        exec "$setsid" --ctty "$setpriv" "$@" 3>&-
    fi
    exec "$setsid" "$setpriv" "$@" 3>&-
}

action=$1
shift
case $action in
start)
    make_root "$1" "$2" "$3" "$4"
    shift 3
    run "$@"
    ;;
idle)
    make_root "$1" "$2" "$3" no
    echo ready >&3
    # It ignores the end of children, so whatever is left behind in the pod is reaped.
    exec env --ignore-signal=CHLD \
        setpriv --pdeathsig=KILL --no-new-privs --bounding-set=-all sleep infinity 3>&-
    ;;
enter)
    run "$@"
    ;;
esac
