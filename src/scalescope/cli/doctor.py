"""`scalescope doctor`."""

from __future__ import annotations

from scalescope.cli.machine import Machine, examine
from scalescope.cli.options import AsJson
from scalescope.cli.output import answer
from scalescope.units import format_bytes, format_significant


def doctor(*, as_json: AsJson = False) -> int:
    """Show what this machine has, how fast it is, and what can be installed.

    Parameters
    ----------
    as_json
        Print everything as JSON.
    """
    machine = examine()
    ready = not any("torch" in extra.missing for extra in machine.extras)
    return answer(
        _text(machine),
        machine.to_dict(),
        as_json=as_json,
        next_step="scalescope study" if ready else "pip install 'scalescope[train]', or scalescope demo",
    )


def _text(machine: Machine) -> str:
    lines = [
        f"scalescope {machine.version}, Python {machine.python}, {machine.system}",
        f"  processor   {machine.processor}",
        f"  cores       {machine.cores:g} usable",
        f"  memory      {format_bytes(machine.memory_bytes)}, {format_bytes(machine.memory_free_bytes)} free",
        f"  disk        {format_bytes(machine.disk_free_bytes)} free here",
        f"  GPU         {'; '.join(machine.gpus) or 'none found'}",
        "",
        "matrix products, the best measured",
    ]
    for what, rate in machine.matmul_flop_per_s.items():
        lines.append(f"  {what:<30}  {format_significant(rate / 1e9)} GFLOP/s")
    lines += ["", "extras"]
    for extra in machine.extras:
        have = ", ".join(f"{library} {version}" for library, version in extra.installed.items())
        need = f"missing {', '.join(extra.missing)}: {extra.install}" if extra.missing else ""
        lines.append(f"  {extra.name:<10}  {'; '.join(part for part in (have, need) if part)}")
    return "\n".join(lines)
