"""A disk for each broker: a small file system that fills up, slows down and stands still.

An ext4 image on a loop device, mounted where the broker has its data. It needs root and free loop
devices; where there are none the faults of disks are left out, and the report says so.

- Full: one file takes all that is free.
- Slow: the kernel's throttle of block devices (blkio, cgroup v1) lets a few writes a second
  through, those of the journal too, because the limit is one of the root group. Kernels without
  that hierarchy get the file system frozen for most of the time instead.
- Standing still: the file system is frozen (fsfreeze), and every write waits until it is not.
"""

import os
import shutil
import subprocess
import threading
from pathlib import Path

from broker import at_end

SIZE = 1 << 30
THROTTLE = Path("/sys/fs/cgroup/blkio/blkio.throttle.write_iops_device")


def run(*words, check=True):
    # A group of its own: Ctrl-C must not end what mends a disk.
    return subprocess.run(words, capture_output=True, text=True, check=check, timeout=60,
                          start_new_session=True)


class Disk:
    """One image, its loop device and where it is mounted."""

    def __init__(self, image, mount):
        self.image, self.mount, self.device = image, mount, None
        self.pulses = None

    def make(self):
        self.mount.mkdir(parents=True)
        with open(self.image, "wb") as image:
            image.truncate(SIZE)
        # No blocks are kept for root: brokers of a test run as root.
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0",
            str(self.image))
        self.device = run("losetup", "-f", "--show", str(self.image)).stdout.strip()
        run("mount", self.device, str(self.mount))
        (self.mount / "lost+found").rmdir()

    def empty(self):
        for entry in self.mount.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    @property
    def filler(self):
        return self.mount / "filler"

    def fill(self):
        """Takes what is free, to the last block."""
        step = 64 << 20
        with open(self.filler, "ab") as file:
            while step >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, step)
                except OSError:
                    step //= 2

    def make_room(self):
        self.filler.unlink(missing_ok=True)

    def slow(self, writes):
        """So many writes a second from now on."""
        if THROTTLE.exists():
            number = os.stat(self.device).st_rdev
            THROTTLE.write_text(f"{os.major(number)}:{os.minor(number)} {writes}")
        elif writes:
            self.pulses = Pulses(self, 1 / writes)
        elif self.pulses:
            self.pulses.end()
            self.pulses = None

    def freeze(self):
        run("fsfreeze", "-f", str(self.mount))

    def thaw(self):
        # One that is not frozen says so, which is well.
        run("fsfreeze", "-u", str(self.mount), check=False)

    def mend(self):
        if self.device:
            self.slow(0)
            self.thaw()
            self.make_room()

    def close(self):
        if self.device:
            self.mend()
            run("umount", "-l", str(self.mount), check=False)
            run("losetup", "-d", self.device, check=False)
            self.device = None


class Pulses(threading.Thread):
    """Freezes a file system over and over, so that a write waits for about as long as one pulse."""

    def __init__(self, disk, length):
        super().__init__(daemon=True)
        self.disk, self.length, self.ended = disk, length, threading.Event()
        self.start()

    def run(self):
        while not self.ended.is_set():
            self.disk.freeze()
            self.ended.wait(self.length)
            self.disk.thaw()
            self.ended.wait(0.005)

    def end(self):
        self.ended.set()
        self.join()


class Disks:
    """A disk for each broker of a mesh, or why there are none; use it in a `with` block."""

    def __init__(self, directory, count):
        self.disks = {node: Disk(directory / f"disk-{node}.img", directory / f"n{node}/disk")
                      for node in range(1, count + 1)}
        self.missing = None
        at_end(self.close)

    def __enter__(self):
        try:
            for disk in self.disks.values():
                disk.make()
        except (OSError, subprocess.SubprocessError) as error:
            self.close()
            self.missing = str(getattr(error, "stderr", None) or error).strip()
        return self

    def __getitem__(self, node):
        return self.disks[node]

    def give_to(self, mesh):
        """Moves the data directories of a mesh that has not begun onto the disks."""
        if not self.missing:
            for broker in mesh:
                broker.data = self.disks[broker.node_id].mount / "data"
                broker.admin.path = str(broker.data / "admin.sock")

    def keep(self):
        """Copies what is on the disks beside them, to be looked at when they are gone."""
        for disk in self.disks.values():
            if disk.device:
                disk.mend()
                shutil.copytree(disk.mount, disk.mount.parent / "kept", dirs_exist_ok=True,
                                ignore=shutil.ignore_patterns("*.sock"))

    def mend(self):
        for disk in self.disks.values():
            disk.mend()

    def close(self):
        for disk in self.disks.values():
            disk.close()

    def __exit__(self, *_):
        self.close()
