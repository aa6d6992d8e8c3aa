"""The calls that are timed: one pass, or the first token and then token after token with the cache.

What a class keeps between calls is what it makes itself when it is asked to `use_cache`: the growing caches
of transformers (sliding windows and latent attention included), or the state of recurrent models. No static
cache is set up: it changes what is computed, and not all classes take one.

With a head, a causal pass computes the logits of the last token only, as serving does, where the class offers
it; a pass of an encoder, or of an encoder-decoder's decoder, computes them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scalescope.cost.batching import batches_in, computed_tokens
from scalescope.errors import WorkError
from scalescope.inference.inputs import InputMaker, import_torch, parameters_of
from scalescope.inference.models import Model
from scalescope.inference.workloads import RIGHT_PADDED
from scalescope.points import Finding, Workload

CACHES = ("past_key_values", "cache_params", "state", "past_buckets_states")
"""Names under which classes take and return what they keep."""

STATE_IN_MODULES = frozenset({"recurrent_gemma"})
"""Model types that are given an empty cache, and keep the rest of their state in themselves."""

UNMASKED = frozenset({"minimax", "nystromformer", "rwkv"})
"""Model types that take a mask and still mix padding into the texts."""


class Phases:
    """Calls of one workload on one loaded module.  Made by `phases`.

    `call` is one whole call of encode or prefill. For decode `first` reads the prompt and gives the first
    new token, and every `step` one more; `reset` forgets the prompt. The output of a call is held until the
    next one starts, and with it its cache, so that the peak of a call is that of one call. Nothing here waits
    for a device: whoever times it does.
    """

    def __init__(self, module: Any, model: Model, workload: Workload, maker: InputMaker) -> None:
        self.workload = workload
        self._torch = import_torch()
        self._module = module
        self._model = model
        self._names = parameters_of(module)
        self._maker = maker
        self._batches = batches_in(workload)
        self._inputs = [maker.inputs(batch, workload.kind) for batch in self._batches]
        self._built = _structure(module)
        self._last: Any = None
        self._kept: Any = None
        self._cache_name = next((name for name in CACHES if name in self._names), "")
        self._following: dict[str, Any] = {}
        self._fed: Any = None
        self.depth = 0
        """Positions in the cache of the prompt and the tokens fed so far; 0 before `first`."""

    @property
    def computed_tokens(self) -> int:
        """Tokens of the tensors of one call, padding included; of the prompts for decode."""
        return computed_tokens(self._model.anatomy, self.workload)

    def call(self) -> None:
        """Run one call: every batch of the workload once."""
        keeps = self.workload.kind == "prefill" and self.workload.batching != "packed"
        for inputs in self._inputs:
            self._forward(inputs, keeps=keeps)

    def first(self) -> None:
        """Read the prompt and produce the first new token."""
        self.reset()
        inputs = self._inputs[0]
        output = self._forward(inputs, keeps=True)
        self._following = self._after(inputs, output)
        self.depth = int(inputs["decoder_input_ids" if self._two_sided else "input_ids"].shape[1])
        self._fed = self._next(output)

    def step(self) -> None:
        """Feed the last new token and produce one more.

        Raises
        ------
        WorkError
            If there is no prompt, or the class kept nothing of it.
        """
        if not self._following:
            raise WorkError("no prompt to go on from", hint="Call first() before step().")
        inputs = {**self._following, "decoder_input_ids" if self._two_sided else "input_ids": self._fed}
        self._following = self._after(inputs, self._forward(inputs, keeps=True))
        self.depth += 1
        self._fed = self._next(self._last)

    def reset(self) -> None:
        """Forget prompt, cache and output."""
        self._following, self._fed, self._last, self._kept, self.depth = {}, None, None, None, 0

    @property
    def token(self) -> Any:
        """The newest token of every text, which the next step feeds; None before `first`."""
        return self._fed

    def outputs(self) -> tuple[Any, ...]:
        """Return what the last pass gave: logits, hidden states, embeddings; not the cache."""
        kept = {name: value for name, value in _fields(self._last) if name not in CACHES}
        return tuple(one for one in _tensors(kept) if one.is_floating_point())

    def finite(self) -> bool:
        """Return whether the last pass gave neither NaN nor infinity; False if it gave nothing."""
        outputs = self.outputs()
        return bool(outputs) and all(bool(one.isfinite().all()) for one in outputs)

    def check_finite(self) -> None:
        """Do nothing if the last pass was finite.

        Raises
        ------
        NonFiniteError
            If it was not.
        """
        from scalescope.inference.failures import NonFiniteError

        if not self.finite():
            raise NonFiniteError(f"{self._model.name} gave NaN or infinity at {self.workload.name}")

    def cache_bytes(self) -> int:
        """Return the bytes that the last pass left for the next token: storage, shared ones once."""
        kept = [self._kept, *(self._state_in_modules() if self._stateful else [])]
        storages = [one.untyped_storage() for one in _tensors(kept)]
        return sum({one.data_ptr(): one.nbytes() for one in storages if one.nbytes()}.values())

    def logits_bytes(self) -> int:
        """Return the bytes of the logits of the last pass; 0 without a head."""
        return sum(one.nbytes for one in _tensors(dict(_fields(self._last)).get("logits")))

    def findings(self) -> tuple[Finding, ...]:
        """Return what a reader of the figures should know about these calls."""
        found = []
        if _structure(self._module) != self._built:
            found.append(_rebuilt(self._model, min(min(batch.lengths) for batch in self._batches)))
        if self.workload.batching == "packed":
            found.append(_packed(self.workload))
        if self._mixes_padding:
            found.append(_unmasked(self._model))
        return tuple(found)

    @property
    def _two_sided(self) -> bool:
        return self._model.anatomy.encoder_decoder

    @property
    def _stateful(self) -> bool:
        return self._model.model_type in STATE_IN_MODULES

    @property
    def _mixes_padding(self) -> bool:
        masked = "attention_mask" in self._names and self._model.model_type not in UNMASKED
        return not masked and any(batch.padded for batch in self._batches)

    def _state_in_modules(self) -> list[Any]:
        values = (value for part in self._module.modules() for value in vars(part).values())
        return [value for value in values if isinstance(value, self._torch.Tensor)]

    def _empty_cache(self) -> Any:
        from transformers import DynamicCache

        return DynamicCache(config=self._module.config)

    def _forward(self, inputs: Mapping[str, Any], *, keeps: bool) -> Any:
        """Run the module once; what the last pass left goes first, unless it is among the inputs."""
        self._last = self._kept = None
        flags: dict[str, Any] = {"use_cache": keeps, "use_mems": False}
        if self.workload.kind != "encode":
            flags["logits_to_keep"] = 1
        if keeps and self._stateful and self._cache_name not in inputs:
            flags[self._cache_name] = self._empty_cache()
        flags = {name: value for name, value in flags.items() if name in self._names}
        with self._torch.inference_mode():
            self._last = self._module(**inputs, **flags)
        given = {**inputs, **flags, **dict(_fields(self._last))}
        self._kept = given.get(self._cache_name) if keeps else None
        return self._last

    def _next(self, output: Any) -> Any:
        """Return the most likely next tokens; drawn ones without a head."""
        logits = dict(_fields(output)).get("logits")
        if logits is None:
            rows = self._batches[0].rows
            return self._maker.ids(rows, 1)
        with self._torch.inference_mode():
            return logits[:, -1].argmax(-1, keepdim=True)

    def _after(self, inputs: Mapping[str, Any], output: Any) -> dict[str, Any]:
        """Return the inputs of the next step, but for its token."""
        if self._kept is None:
            raise WorkError(
                f"{self._model.model_type} kept no cache",
                hint="Measure it as prefill: every token would compute the whole text again.",
            )
        following = {self._cache_name: self._kept}
        if self._two_sided:
            following["encoder_outputs"] = inputs.get("encoder_outputs") or _encoded(output)
            if "attention_mask" in inputs:
                following["attention_mask"] = inputs["attention_mask"]
            return following
        return {**following, **self._grown(inputs)}

    def _grown(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return mask and positions of the next token.

        Positions are always said, as `generate` does: hybrids whose first layer is recurrent count wrong
        without. Purely recurrent classes take no mask after the prompt.
        """
        grown = {}
        with self._torch.inference_mode():
            if "attention_mask" in inputs and self._cache_name == "past_key_values":
                mask = inputs["attention_mask"]
                grown["attention_mask"] = self._torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            if "position_ids" in inputs:
                grown["position_ids"] = inputs["position_ids"][:, -1:] + 1
            elif "position_ids" in self._names and self._model.model_type not in RIGHT_PADDED:
                fed = inputs["input_ids"]
                grown["position_ids"] = self._torch.full_like(fed[:, -1:], fed.shape[1])
        return grown


def phases(module: Any, model: Model, workload: Workload, *, device: str = "cpu", seed: int = 0) -> Phases:
    """Return the calls of a workload; inputs are drawn now, so that no call includes it.

    Parameters
    ----------
    module
        Loaded, in evaluation mode; with its head for decode, else next tokens are drawn, not computed.
    workload
        One that has no `obstacle`; others fail in the module, and the failure is theirs.

    Raises
    ------
    InputError
        If an input cannot be made up, or the workload's lengths make no batches.
    MissingExtraError
        If torch is not installed.
    """
    maker = InputMaker(module, model.anatomy, device=device, seed=seed)
    return Phases(module, model, workload, maker)


def _fields(output: Any) -> Iterator[tuple[str, Any]]:
    """Yield names and values of a model's output."""
    if isinstance(output, Mapping):
        yield from output.items()
    elif output is not None:
        yield "output", output


def _tensors(value: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """Yield the tensors in nested containers and in the cache objects of transformers, each once."""
    torch = import_torch()
    seen = set() if seen is None else seen
    if value is None or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        yield value
        return
    for inner in _inside(value):
        yield from _tensors(inner, seen)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, (list, tuple)):
        return list(value)
    ours = type(value).__module__.startswith("transformers.") and not hasattr(value, "forward")
    return list(getattr(value, "__dict__", {}).values()) if ours else []


def _encoded(output: Any) -> Any:
    """Return the encoder's side as the classes take it back."""
    from transformers import modeling_outputs

    kind = "MoEModelOutput" if hasattr(output, "encoder_router_logits") else "BaseModelOutput"
    return getattr(modeling_outputs, kind)(last_hidden_state=output["encoder_last_hidden_state"])


def _structure(module: Any) -> tuple[tuple[str, str], ...]:
    """Return which classes a module consists of: some replace parts of themselves while they run."""
    return tuple((name, type(part).__name__) for name, part in module.named_modules())


def _rebuilt(model: Model, shortest: int) -> Finding:
    return Finding(
        code="BEN031",
        text=f"{model.name} replaced its attention for good after a text of {shortest} tokens.",
        hint="Its later calls run with full attention: measure long texts in a process of their own.",
    )


def _packed(workload: Workload) -> Finding:
    row = max(batch.width for batch in batches_in(workload))
    return Finding(
        code="BEN032",
        text=f"Packed rows of up to {row} tokens run under a mask of all pairs, and fill no cache.",
        hint="Their attention costs the square of the row, not of the texts; only matrices gain.",
    )


def _unmasked(model: Model) -> Finding:
    return Finding(
        code="BEN033",
        text=f"{model.name} takes no mask: it mixes padding into its texts.",
        hint="Time and memory are right; do not pad its texts in use, bucket them by length.",
    )
