"""Giving a failure its name, from what the libraries said and where they said it.

A rule asks for the class of the exception, its message and, where these could mean something else too, for
what the workload or the traceback adds: an index out of range is a position limit only if the text is longer
than the position table, or if the traceback shows that positions were looked up. Without a rule it is
`other`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from scalescope.cost import Positions
from scalescope.errors import WorkError
from scalescope.inference.models import Model
from scalescope.inference.outcomes import Outcome
from scalescope.points import State, Workload
from scalescope.units import format_bytes

LONGEST_CAUSE = 240
"""Characters; the whole message is in the outcome."""


class NonFiniteError(WorkError):
    """A model gave NaN or infinity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An exception beside what was asked for."""

    outcome: Outcome
    positions: Positions
    workload: Workload

    @property
    def limit(self) -> int | None:
        """Longest text that the configuration allows, on either side."""
        known = [one for one in (self.positions.limit, self.positions.decoder_limit) if one is not None]
        return min(known, default=None)

    @property
    def too_long(self) -> bool:
        """Whether the text, with what is decoded after it, passes that."""
        asked = self.workload.length + self.workload.new_tokens
        return self.limit is not None and asked > self.limit

    @property
    def source(self) -> str:
        """The lines of code of the traceback, without those of torch itself."""
        frames = re.findall(r'File "([^"]*)", line \d+, in \S+\n(.*)', self.outcome.traceback)
        return "\n".join(line for file, line in frames if "/torch/" not in file)


Check = Callable[[Failure], bool]


def _at_positions(failure: Failure) -> bool:
    return failure.too_long or bool(re.search(r"posit|wpe\b|axial", failure.source))


def _beyond_positions(failure: Failure) -> bool:
    return failure.too_long


def _without_an_input(failure: Failure) -> bool:
    """Tell whether the innermost line of the libraries uses an input that was not given."""
    last = failure.source.rpartition("\n")[2]
    return bool(re.search(r"\b(pixel_values|\w*input_ids|attention_mask|bbox|input_features)\.", last))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One way to fail."""

    state: State
    classes: tuple[str, ...] = ()
    """The exception is, or derives from, one of them; any if empty."""
    message: str = ""
    """Regular expression found in the message."""
    check: Check = bool
    """What must hold beside them."""
    means: str = ""
    """What to say before the exception's own words."""


RULES: tuple[Rule, ...] = (
    Rule(state="nonfinite", classes=("scalescope.inference.failures.NonFiniteError",)),
    Rule(state="other", classes=("scalescope.errors.ScalescopeError",)),
    Rule(
        state="allocator_oom",
        classes=("torch.OutOfMemoryError", "MemoryError"),
    ),
    Rule(
        state="allocator_oom",
        classes=("RuntimeError", "OSError"),
        message=r"can't allocate memory|bad_alloc|Cannot allocate memory|(CUDA|MPS backend) out of memory",
    ),
    Rule(
        state="position_limit",
        classes=("ValueError", "AssertionError"),
        message=r"max_position_embeddings|axial_pos_shape|maximum (sequence|position)",
    ),
    Rule(
        state="position_limit",
        classes=("IndexError", "RuntimeError"),
        message=r"index out of range|is out of bounds for dimension|device-side assert",
        check=_at_positions,
    ),
    Rule(
        state="position_limit",
        classes=("RuntimeError",),
        message=r"The expanded size of the tensor|The size of tensor a|Sizes of tensors must match",
        check=_beyond_positions,
    ),
    Rule(
        state="missing_input",
        classes=("ValueError", "TypeError"),
        message=r"decoder_input|(specify|provide|passed?|one of).*(input_ids|inputs_embeds|pixel_values)"
        r"|missing \d+ required positional arguments?: .*(input|pixel_values|bbox)",
    ),
    Rule(
        state="missing_input",
        classes=("AttributeError", "TypeError"),
        message=r"'?NoneType'?",
        check=_without_an_input,
        means="an input was not given",
    ),
    Rule(state="unsupported_op", classes=("NotImplementedError",)),
    Rule(
        state="unsupported_op",
        classes=("ValueError", "ImportError"),
        message=r"does not support (an attention implementation|Flash Attention)"
        r"|attn_implementation=.*not supported|FlashAttention\d? has been toggled on|[Ff]lex.?[Aa]ttention",
    ),
    Rule(
        state="unsupported_op",
        classes=("RuntimeError",),
        message=r"not implemented for|[Uu]nsupported|[Nn]ot supported|not support|same dtype"
        r"|expected scalar type|No available kernel|Could not run|dtypes? .*(mismatch|must match)",
    ),
    Rule(
        state="unsupported_op",
        classes=("torch._dynamo.exc.Unsupported",),
    ),
    Rule(
        state="api_error",
        classes=("TypeError", "AttributeError", "ImportError", "LookupError", "ValueError", "NameError"),
    ),
)
"""The first that fits counts."""


def classify(outcome: Outcome, *, model: Model, workload: Workload) -> tuple[State, str]:
    """Name how a cell ended.

    Parameters
    ----------
    outcome
        What became of its process.
    model, workload
        What it was asked to do.

    Returns
    -------
    state, cause
        The cause is one line; empty for ok.
    """
    if outcome.kind == "done":
        return "ok", ""
    if outcome.kind == "raised":
        state, cause = _explain(
            Failure(outcome=outcome, positions=model.anatomy.positions, workload=workload)
        )
    else:
        state, cause = _end(outcome)
    return state, _one_line(cause)


def _explain(failure: Failure) -> tuple[State, str]:
    outcome = failure.outcome
    said = f"{outcome.exception.rpartition('.')[2]}: {outcome.message}".rstrip(": ")
    rule = next((rule for rule in RULES if _fits(rule, failure)), None)
    if rule is None:
        return "other", said
    if rule.state == "position_limit" and failure.too_long:
        asked = failure.workload.length + failure.workload.new_tokens
        return rule.state, f"{asked} tokens, positions end at {failure.limit}; {said}"
    if rule.state == "allocator_oom":
        return rule.state, _with_evidence(said, outcome)
    return rule.state, f"{rule.means}; {said}" if rule.means else said


def _fits(rule: Rule, failure: Failure) -> bool:
    outcome = failure.outcome
    kinds = {outcome.exception, *outcome.bases}
    return (
        (not rule.classes or not kinds.isdisjoint(rule.classes))
        and bool(re.search(rule.message, outcome.message, re.DOTALL))
        and rule.check(failure)
    )


def _with_evidence(said: str, outcome: Outcome) -> str:
    """Name the limit that was set, if the allocator met it and not the machine's own."""
    limit = outcome.limit_bytes
    return f"{said}; limit {format_bytes(limit)}" if limit is not None else said


def _end(outcome: Outcome) -> tuple[State, str]:
    """Name an end without an exception."""
    where = f" in phase {outcome.phase}" if outcome.phase else ""
    if outcome.kind == "memory":
        ours = outcome.evidence.startswith("watcher")  # our own limit: neither allocator nor kernel said it
        return ("killed" if ours else "allocator_oom"), f"{outcome.evidence}{where}"
    if outcome.kind == "timeout":
        return "timeout", f"{outcome.message}{where}"
    if outcome.lost:
        return "killed", f"{outcome.message}{where}, and the cell was lost with it"
    if outcome.kind == "signal":
        known = f"; {outcome.evidence}" if outcome.evidence else ""
        return "killed", f"{outcome.message}{where}{known}"
    last = outcome.output.strip().rpartition("\n")[2]
    return "other", f"{outcome.message}{where}" + (f"; it said last: {last}" if last else "")


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_CAUSE else f"{line[: LONGEST_CAUSE - 1]}…"
