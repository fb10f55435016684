#!/bin/sh
# Becomes the first process of a machine that may be harmed. `unshare` has given us its mount, UTS,
# IPC, network and PID namespaces; its files are this machine's, and what is written is thrown away.
#
#   disposable.sh DIRECTORY [VISIBLE...]
#       DIRECTORY is an empty one of this machine's. VISIBLE lie on other file systems than `/`,
#       and are to be seen all the same.
set -eu

base=$1
shift
mount --make-rprivate /
mount -t tmpfs tmpfs "$base"
root=$base/root
mkdir "$base/upper" "$base/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$root"

for path; do
    mkdir -p "$root$path"
    mount --rbind "$path" "$root$path"
done
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm" "$root/run/lock"
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
while read -r name major minor; do
    mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done <<END
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
END
mknod -m 644 "$root/dev/kmsg" c 1 11
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for number in 0 1 2; do
    mknod -m 660 "$root/dev/loop$number" b 7 "$number"
done
mknod -m 660 "$root/dev/loop-control" c 10 237

cd "$root"
mkdir -p run/before
pivot_root . run/before
umount --lazy run/before
rmdir run/before
cd /
ip link set lo up
echo 0 >/proc/sys/net/ipv4/ip_forward
hostname disposable
echo ready
# It ignores the end of children, so whatever is orphaned here is reaped.
exec env --ignore-signal=CHLD sleep infinity
