"""Whether a path is on a network file system, where renames and locks can be weaker than on a local disk."""

from __future__ import annotations

import os
import re
from pathlib import Path

# Types of file systems in which another machine may see a renamed file late, or in which a lock may not hold there.
# Not those that hand a local disk to a virtual machine or container, such as 9p and virtiofs.
NETWORK_TYPES = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "pvfs2"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.juicefs", "fuse.rclone", "fuse.s3fs"),
        *("fuse.gcsfuse", "fuse.blobfuse", "fuse.blobfuse2", "fuse.goofys", "fuse.mountpoint-s3"),
    }
)
MOUNTS = Path("/proc/self/mountinfo")
# 36 35 98:0 /root /mount/point options optional-fields... - type source options
MOUNT = re.compile(r"^\d+ \d+ (\d+:\d+) .*? - (\S+) ", re.MULTILINE)


def network_type(path: Path) -> str | None:
    """Return the type of the network file system that holds a path, or its nearest folder that exists; None if local.

    None also on systems without /proc.
    """
    place = path.absolute()
    while not place.exists():
        place = place.parent
    if not MOUNTS.exists():
        return None
    number = place.stat().st_dev
    return type_of(f"{os.major(number)}:{os.minor(number)}", MOUNTS.read_text(errors="replace"))


def type_of(device: str, mounts: str) -> str | None:
    """Return the type of the network file system with this device, `major:minor`, in the text of mountinfo; else None.

    >>> type_of("0:52", "36 35 0:52 / /data rw,relatime shared:1 - nfs4 host:/data rw\\n")
    'nfs4'
    """
    found = [kind for number, kind in MOUNT.findall(mounts) if number == device and kind in NETWORK_TYPES]
    return found[0] if found else None
