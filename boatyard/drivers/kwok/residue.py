"""What is left of a kwok cluster: an own look at the kernel and the disk, not at what `delete` remembers."""

from boatyard.drivers.base import Residue
from boatyard.drivers.kwok import processes, state
from boatyard.drivers.kwok.state import Layout


def residue(layout: Layout) -> list[Residue]:
    """Processes, their open ports, folders and reservations. [] is the proof of deletion."""
    owner = layout.name
    found = {proc.pid: proc for proc in (*processes.inside(layout.folder), *processes.at_work(layout))}
    left = [
        Residue("process", f"{proc.component or proc.command} (pid {pid})", owner)
        for pid, proc in sorted(found.items())
    ]
    left += [Residue("port", f"127.0.0.1:{port}", owner) for _, port in sorted(processes.listeners(found))]
    left += [Residue("folder", str(path), owner) for path in (layout.folder,) if path.exists()]
    left += [
        Residue("file", str(path), owner)
        for path in (layout.config, layout.audit_policy, layout.record)
        if path.exists()
    ]
    if (record := state.load_or_none(layout)) is not None:
        left += [Residue("port reservation", str(port), owner) for port in sorted(record.ports.values())]
    return left
