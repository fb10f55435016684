"""How the lab's own servers give up every right, and the view of the machine, before they serve.

Strangers' bytes are read in them. What they need yet is open by then, or imported.
"""

from __future__ import annotations

import codecs
import resource
import time
from pathlib import Path

from netlab.kernel import confine, seccomp, syscalls

_LIMITS = {
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_NPROC: 0,  # neither a process nor a thread
    resource.RLIMIT_FSIZE: 16 << 20,  # the log
}


SCRATCH = Path("/tmp")
"""Where a server that asked for it finds a directory for itself."""


def give_up_rights(user: int, *, asks: bool = False, scratch: bool = False) -> None:
    """Be that user from now on, one who may do nothing, for a process of one thread.

    Who `asks` others keeps the network namespace that it is in, and may make sockets there. For
    anybody else there is a network without a link. Of files there are none, but for those that it
    writes itself into `SCRATCH`, in memory, if it is to have that.
    """
    time.localtime()  # reads the time zone, as the next line does modules: both only once
    for name in ("ascii", "latin-1", "idna", "punycode"):
        codecs.lookup(name)
    confine.see_only(confine.View(scratch=SCRATCH if scratch else None))
    if not asks:
        syscalls.unshare(syscalls.CLONE_NEWNET)
    for limit, value in _LIMITS.items():
        resource.setrlimit(limit, (value, value))
    confine.drop_privileges()
    confine.become(user)
    seccomp.answer_only(asks=asks)
