"""What models are asked to do: lengths, named tasks, texts of unequal length; and what cannot run at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from scalescope.cost import Anatomy
from scalescope.cost.batching import batches_in, check_count
from scalescope.errors import InputError, nearest
from scalescope.inference.distributions import Distribution, read_distribution
from scalescope.inference.models import Model
from scalescope.points import Attention, Batching, Kind, Workload

N_TEXTS = 32
"""Drawn from a distribution for one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A use, as the shape of its calls."""

    name: str
    length: int
    new_tokens: int = 0
    """0 for one pass over the text."""
    batch: int = 1
    why: str
    source: str
    """Where the shape is from."""


_TASKS = (
    Task(
        name="classification",
        length=128,
        batch=8,
        why="a sentence or two, many at a time",
        source="google-research/bert, run_classifier.py: max_seq_length 128, eval_batch_size 8",
    ),
    Task(
        name="question-answering",
        length=384,
        batch=8,
        why="a question with a paragraph, the answer marked in it",
        source="google-research/bert, run_squad.py: max_seq_length 384, predict_batch_size 8",
    ),
    Task(
        name="summarisation",
        length=781,
        new_tokens=56,
        why="a news article in, a few sentences out",
        source="See et al. 2017, arXiv 1704.04368, section 4: CNN/Daily Mail, 781 and 56 tokens on average",
    ),
    Task(
        name="translation",
        length=32,
        new_tokens=32,
        why="one sentence in, one out",
        source="our choice: a sentence of the news, in subwords",
    ),
    Task(
        name="code",
        length=2048,
        new_tokens=64,
        why="a file as the prompt, a few lines completed",
        source="our choice: the context that GPT-Neo, OPT and Pythia were trained for",
    ),
    Task(
        name="long-document",
        length=4096,
        why="a whole paper or contract at once",
        source="Beltagy et al. 2020, arXiv 2004.05150: Longformer's 4096 tokens",
    ),
    Task(
        name="chat",
        length=161,
        new_tokens=338,
        why="a turn of a conversation",
        source="Kwon et al. 2023, arXiv 2309.06180, figure 11: ShareGPT, 161 in and 338 out on average",
    ),
)
TASKS: Mapping[str, Task] = {task.name: task for task in _TASKS}
"""Named tasks."""

MAKEABLE = frozenset(
    {
        "input_ids",
        "decoder_input_ids",
        "pixel_values",
        "attention_mask",
        "token_type_ids",
        "position_ids",
        "bbox",
    }
)
"""Inputs that can be made up."""

KEEPS_NO_CACHE = frozenset({"openai-gpt", "xlnet"})
"""Model types that generate, but whose classes compute the whole text again for every token."""

RIGHT_PADDED = frozenset({"reformer"})
"""Model types that fail with padding before a text, and so cannot go on from padded prompts."""

MIXES_BATCH = frozenset({"rwkv"})
"""Model types whose classes add up the texts of a batch from the second token on (transformers 5.23)."""

PACKABLE = frozenset(
    {
        *("albert", "bert", "camembert", "deepseek_v2", "deepseek_v3", "distilbert", "electra", "gemma"),
        *("gemma2", "gemma3_text", "gpt2", "gpt_neo", "gpt_neox", "gptj", "granitemoe", "llama", "minicpm3"),
        *("mistral", "mixtral", "mpnet", "olmo", "olmo2", "olmoe", "phi", "phi3", "qwen2", "qwen2_moe"),
        *("qwen3", "qwen3_moe", "roberta", "smollm3", "squeezebert", "stablelm", "xlm-roberta"),
    }
)
"""Model types whose texts give the same in a packed row as alone: what `test_phases.py` shows."""


def default_kind(anatomy: Anatomy) -> Kind:
    """Return the one pass that suits a model: causal for decoders, else over the whole text."""
    return "prefill" if anatomy.causal and not anatomy.encoder_decoder else "encode"


def workloads_for(
    model: Model,
    *,
    lengths: Sequence[int] = (),
    kind: Kind | None = None,
    task: str | None = None,
    batches: Sequence[int] = (),
    new_tokens: int = 32,
    distribution: str | Distribution | None = None,
    batching: Batching = "single",
    head: bool = False,
    texts: int = N_TEXTS,
    seed: int = 0,
) -> tuple[Workload, ...]:
    """Return what a model is asked to do, in the order of the lengths, whether or not it can.

    A model of images alone has one length, that of its image, whatever is asked for. Decode always runs the
    head: without it there is no next token.

    Parameters
    ----------
    lengths
        Tokens of the texts. With a distribution, the longest text: longer ones are cut.
    kind
        By default one pass: causal for decoders, else over the whole text.
    task
        Name of one of `TASKS`, which gives length and kind; `lengths` and `new_tokens` are not used then.
    batches
        Texts that pass together; one, or what the task has, if empty.
    new_tokens
        Decoded after the prompt, for decode.
    distribution
        Of the lengths, see `read_distribution`: `texts` of them are one call; for decode, as many as `batch`.
    batching
        How texts of unequal length share a batch.
    head
        Whether the head of the model's task runs too.

    Raises
    ------
    InputError
        If a number is below 1 or beyond 2^31 - 1, a name is unknown, or options do not fit each other.
    """
    if kind is not None and kind not in get_args(Kind):
        raise InputError(f"unknown kind {kind!r}", hint=nearest(kind, get_args(Kind)))
    if task is not None:
        base = _of_task(model, task, kind)
        lengths, batches = (base.length,), batches or (TASKS[task].batch,)
    else:
        base = Workload(kind=kind or default_kind(model.anatomy))
        base = replace(base, new_tokens=check_count(new_tokens, "new_tokens") if base.kind == "decode" else 0)
    base = replace(base, head=head or base.kind == "decode", batching=batching)
    batches = [check_count(batch, "batch") for batch in batches or (1,)]
    if is_image_only(model.anatomy):
        return _of_images(model, base, batches, distribution)
    if distribution is None:
        return _of_lengths(base, lengths, batches)
    drawn = read_distribution(distribution) if isinstance(distribution, str) else distribution
    return _of_distribution(base, drawn, lengths, batches, texts, seed)


def is_image_only(anatomy: Anatomy) -> bool:
    """Return whether a call takes images and no text."""
    return anatomy.image_tokens > 0 and "input_ids" not in anatomy.inputs


def _of_task(model: Model, name: str, kind: Kind | None) -> Workload:
    if name not in TASKS:
        raise InputError(f"unknown task {name!r}", hint=nearest(name, TASKS))
    task = TASKS[name]
    own: Kind = "decode" if task.new_tokens else default_kind(model.anatomy)
    if kind is not None and (kind == "decode") != (own == "decode"):
        raise InputError(f"task {name} is {own}, not {kind}", hint="Leave out the kind, or the task.")
    return Workload(task=name, kind=kind or own, length=task.length, new_tokens=task.new_tokens)


def _of_images(
    model: Model, base: Workload, batches: Sequence[int], distribution: object
) -> tuple[Workload, ...]:
    if distribution is not None:
        raise InputError(f"{model.name} takes images, which have no distribution of lengths")
    size = model.anatomy.image_tokens
    return tuple(
        replace(base, length=size, batch=batch, batching="single") for batch in dict.fromkeys(batches)
    )


def _of_lengths(base: Workload, lengths: Sequence[int], batches: Sequence[int]) -> tuple[Workload, ...]:
    if not lengths:
        raise InputError("no length to measure at", hint="Such as --lengths 128,512,1024,2048.")
    made = [
        replace(base, length=check_count(length, "length"), batch=batch)
        for length in lengths
        for batch in batches
    ]
    return tuple(dict.fromkeys(made))


def _of_distribution(
    base: Workload,
    distribution: Distribution,
    lengths: Sequence[int],
    batches: Sequence[int],
    texts: int,
    seed: int,
) -> tuple[Workload, ...]:
    """One call over the same texts for every batch size; decoding takes as many texts as go together."""
    made = []
    for cut in lengths or (None,):
        for batch in batches:
            n = batch if base.kind == "decode" else texts
            drawn = distribution.draw(n, seed=seed, cut=cut)
            task = distribution.name if base.task == "length" else base.task
            one = replace(base, task=task, length=max(drawn), batch=batch, lengths=drawn)
            batches_in(one)
            made.append(one)
    return tuple(dict.fromkeys(made))


def obstacle(model: Model, workload: Workload, *, attention: Attention | None = None) -> str | None:
    """Return why a workload cannot run, as the configuration says; None if nothing there stops it.

    Whether it fits into memory is another question.

    Parameters
    ----------
    attention
        Implementation that is asked for; not looked at if None.
    """
    anatomy = model.anatomy
    reasons = (
        _wrong_kind(anatomy, workload),
        "its class has no head" if workload.head and not anatomy.head_class else None,
        _missing_inputs(anatomy),
        _no_such_attention(anatomy, attention),
        _too_long(anatomy, workload),
        _not_packable(anatomy, workload),
    )
    return next((reason for reason in reasons if reason is not None), None)


def _wrong_kind(anatomy: Anatomy, workload: Workload) -> str | None:
    if workload.kind == "encode":
        return None
    if workload.kind == "prefill":
        if anatomy.encoder_decoder:
            return "an encoder-decoder has no causal pass over its text; encode or decode"
        return None if anatomy.causal else "no causal pass: it does not generate"
    if not anatomy.causal and not anatomy.encoder_decoder:
        return "does not generate"
    return _not_decodable(anatomy, workload)


def _not_decodable(anatomy: Anatomy, workload: Workload) -> str | None:
    """Say what classes of transformers cannot do after the first token, though the architecture could."""
    if anatomy.model_type in KEEPS_NO_CACHE:
        return "its class keeps no cache: every token would compute the whole text again"
    if workload.lengths and len(workload.lengths) != workload.batch:
        return f"decodes one batch: {len(workload.lengths)} texts in batches of {workload.batch}"
    if anatomy.model_type in MIXES_BATCH and workload.batch > 1:
        return "its class mixes up the texts of a batch while it decodes; batch 1 runs"
    if anatomy.model_type in RIGHT_PADDED and len(set(workload.lengths)) > 1:
        return "its class cannot go on from prompts of unequal length"
    return None


def _missing_inputs(anatomy: Anatomy) -> str | None:
    unknown = sorted(set(anatomy.inputs) - MAKEABLE)
    return f"needs {', '.join(unknown)}, which cannot be made up here" if unknown else None


def _no_such_attention(anatomy: Anatomy, attention: Attention | None) -> str | None:
    if attention is None or attention in anatomy.attention_kinds:
        return None
    return f"its class has no {attention} attention, only {', '.join(anatomy.attention_kinds)}"


def _too_long(anatomy: Anatomy, workload: Workload) -> str | None:
    """Compare the last position that is used with what there is; the last new token is never fed back."""
    positions = anatomy.positions
    if is_image_only(anatomy):
        same = workload.length == anatomy.image_tokens
        return None if same else f"length comes from the image: {anatomy.image_tokens} tokens"
    longest = max(workload.lengths, default=workload.length)
    if anatomy.encoder_decoder:
        fed, limit = workload.new_tokens, positions.decoder_limit or positions.limit
        if limit is not None and fed > limit:
            return f"decoder's {_where(positions.kind)} {limit}"
    fed = 0 if anatomy.encoder_decoder else max(workload.new_tokens - 1, 0)
    if positions.limit is None or longest + fed <= positions.limit:
        return None
    more = f", {longest} tokens and {fed} new ones need {longest + fed}" if fed else ""
    return f"{_where(positions.kind)} {positions.limit}{more}"


def _where(kind: str) -> str:
    """Say what ends."""
    return "position table ends at" if "table" in kind or kind == "learned" else f"positions ({kind}) end at"


def _not_packable(anatomy: Anatomy, workload: Workload) -> str | None:
    """Packing needs attention that ends where a text does, and positions that start anew there."""
    if workload.batching != "packed":
        return None
    if workload.kind == "decode":
        return "packed texts cannot be decoded: their caches would be one"
    if anatomy.model_type in PACKABLE:
        return None
    mixing = sorted({layers.span for layers in anatomy.attention} - {"full", "causal"})
    if mixing or not anatomy.attention:
        return f"packed texts would mix: {', '.join(mixing) or 'no'} attention takes no mask between texts"
    return f"packed texts would mix, or it is not shown that they do not, for {anatomy.model_type}"
