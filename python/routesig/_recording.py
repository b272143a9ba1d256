"""`record`: run prompts through a model and keep every routing decision."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routesig import _core
from routesig._chat import chat_ids
from routesig._files import path_of, write_target
from routesig._kinds import refused
from routesig._model import MOST_TOKENS, Model
from routesig._options import real_number, whole_number
from routesig._prompts import Prompt, from_table, is_table, load_prompts
from routesig._text import json_text

_MOST_ROUTERS = 1_000  # rotated ones, each as large as the model's own


@dataclass(frozen=True)
class _Job:
    """One prompt, ready to run: its token ids, and where its generated part begins."""

    index: int
    token_ids: list[int]
    sequence: dict[str, Any]


def record(
    model: Model,
    prompts: "Iterable[Prompt | str] | _core.TraceSet | os.PathLike[str] | Any" = None,
    *,
    max_new_tokens: int = 32,
    batch_size: int | str = "auto",
    ignore_eos: bool = False,
    temperature: float = 0.0,
    seed: int = 0,
    chat_template: str | None = None,
    add_special_tokens: bool = True,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    weights: bool = True,
    router_logits: bool = False,
    rotated_routers: int = 0,
    command: str | None = None,
    progress: bool | None = None,
) -> _core.TraceSet:
    """Run prompts through a model and record every routing decision.

    Parameters
    ----------
    model : Model
    prompts : list of Prompt or str, path, table, TraceSet, optional
        Default: the shipped 80. A path or a table (data frame, Arrow table): as in `load_prompts`. A TraceSet: its
        token ids are forced through the model and nothing is generated.
    max_new_tokens : int
        Tokens to generate for each prompt, at most. The last one is never fed back, so it has no routing.
    batch_size : int or "auto"
        Prompts that run together. Not a setting of the recording: expert sets depend on it only where ranks k and
        k + 1 are less than 1e-5 apart.
    ignore_eos, temperature, seed
        As `Model.generate`.
    chat_template : {None, "model"}
        "model": every prompt as the user's message in the model's own chat template, the ids exactly those of
        transformers' `apply_chat_template` with `add_generation_prompt` (needs `pip install 'routesig[hf]'`).
    add_special_tokens : bool
        Let the tokenizer add its special tokens. With a chat template it adds none, whatever this says: the template
        writes those that belong there, and a second BOS would be another prompt.
    out : path, optional
        Stream to this `.jsonl` file while the model runs (`.partial` until it is whole). Links are followed.
    resume : bool
        Keep the whole prompts of an earlier, interrupted `out`, and record the others.
    overwrite : bool
        Give up what an interrupted recording left in the `.partial` file, instead of refusing to write there.
    weights : bool
        Record the applied weights.
    router_logits : bool
        Keep the router's logits, in memory only.
    rotated_routers : int
        Record as well what this many routers W Q would have chosen, with W the model's router of each layer and Q a
        random rotation (Haar-distributed, from `seed`): `TraceSet.rotated`, ids only. The forward pass is unchanged. A
        control: what they separate, any hash of the hidden states would. With `out`, each has a file beside it, which
        is streamed and resumed like `out` itself: of `traces.jsonl`, `traces.rotated-000.jsonl` and so on.
    command : str, optional
        The shell command that this call stands for; the header of `out` keeps it (`TraceSet.command`).
    progress : bool, optional
        Show a progress bar on stderr; default: where stderr is a terminal.

    Returns
    -------
    TraceSet
        In the order of `prompts`.

    Raises
    ------
    ValueError
        On an empty prompt, one that does not fit the context or one that the chat template refuses, before anything
        is written.
    FileExistsError
        Where an interrupted recording left a `.partial` file, and neither `resume` nor `overwrite` says what to do.
    FormatError
        On a chat template or a tokenizer that is missing or broken.
    ImportError
        Where `chat_template="model"` does not find transformers.

    References
    ----------
    arXiv 2603.11114, section 4.3.

    Examples
    --------
    >>> import routesig as rs
    >>> traces = rs.record(rs.load_model(), rs.load_prompts()[:2], max_new_tokens=4, ignore_eos=True, progress=False)
    >>> traces.ids, [len(trace) - trace.prompt_tokens for trace in traces]  # the last new token is never fed
    (['code-01', 'code-02'], [3, 3])
    """
    if router_logits and out is not None:
        raise ValueError("record: router_logits are kept in memory only, so they cannot be combined with out=")
    if out is not None:
        write_target(path_of("record", out))  # refuses at once what the recorder could not write
    if out is not None and os.fspath(out).endswith(".parquet"):
        raise ValueError(f"record: expected out to end in .jsonl (routesig convert makes it .parquet), got {out!s}")
    rotated_routers = whole_number("record", "rotated_routers", rotated_routers, most=_MOST_ROUTERS)
    if resume and overwrite:
        raise ValueError("record: expected one of resume and overwrite, got both")
    if resume and out is None:
        raise ValueError("record: resume=True needs out=, the file to go on with")
    if not isinstance(model, Model):
        raise refused("record", "a model from rs.load_model", model)
    max_new_tokens = whole_number("record", "max_new_tokens", max_new_tokens, most=MOST_TOKENS)
    seed = whole_number("record", "seed", seed)
    generation: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "temperature": real_number("record", "temperature", temperature),
        "seed": seed,
        "ignore_eos": bool(ignore_eos),
    }
    if isinstance(prompts, _core.TraceSet):
        settings: dict[str, Any] = {"forced_tokens": True}
        jobs = _forced(prompts)
    else:
        jobs = _encoded(model, _as_prompts(prompts), max_new_tokens, chat_template, add_special_tokens)
        # What was done, not what was asked for: a template's text is tokenized without special tokens.
        added = add_special_tokens and chat_template is None
        settings = {**generation, "chat_template": chat_template, "add_special_tokens": added}
    forced = isinstance(prompts, _core.TraceSet)
    batches = _batches(jobs, batch_size, 0 if forced else max_new_tokens)

    recorders: list[Any]
    if out is None:
        recorders = [_core.TraceRecorder(weights=weights, router_logits=router_logits, vocabulary=model.token_texts)]
        recorders += [_core.TraceRecorder(weights=False) for _ in range(rotated_routers)]
        kept: list[set[str]] = [set()] * len(recorders)
    else:
        run: dict[str, Any] = {
            "settings": json.dumps(settings, separators=(",", ":"), ensure_ascii=False),
            "prompts": len(jobs),
            "prompts_sha256": _prompts_sha256(jobs),
            "command": command or "",
            "resume": resume,
            "overwrite": overwrite,
        }
        recorders = [_core.JsonlRecorder(Path(out), weights=weights, vocabulary=model.token_texts, **run)]
        recorders += [_core.JsonlRecorder(file, weights=False, **run) for file in rotated_files(out, rotated_routers)]
        kept = [set(recorder.kept) for recorder in recorders]
    listeners = _Listeners(model, recorders, seed)
    _run(model, _missing(batches, kept), listeners, None if forced else generation, progress, len(jobs))
    if out is None:
        sets = [recorder.traces for recorder in recorders]
    else:
        for recorder in reversed(recorders):  # where the model's own is whole, the others are
            recorder.close()
        sets = [_in_order(file, jobs) for file in (Path(out), *rotated_files(out, rotated_routers))]
    traces: _core.TraceSet = sets[0]
    traces.rotated = sets[1:]
    return traces


def rotated_files(out: str | os.PathLike[str], count: int) -> list[Path]:
    """The files of rotated routers beside the file of the model's own."""
    path = Path(out)
    return [path.with_name(f"{path.stem}.rotated-{index:03d}{path.suffix}") for index in range(count)]


def _in_order(file: Path, jobs: list[_Job]) -> _core.TraceSet:
    """The traces of a file in the order of the jobs; a resumed file has another."""
    traces = _core.read_jsonl(file)
    order = {job.sequence["id"]: job.index for job in jobs}
    places = [order[trace_id] for trace_id in traces.ids]
    if places == sorted(places):
        return traces
    return traces.take([i for _, i in sorted(zip(places, range(len(places)), strict=True))])


class _Listeners:
    """The recorder of the model's own routers, and one for each of its rotated routers."""

    def __init__(self, model: Model, recorders: list[Any], seed: int) -> None:
        count = len(recorders) - 1
        self.recorders = recorders
        self.routers: Any = None
        self.infos = [model.info]
        if count:
            self.routers = model._native.rotated_routers(count, seed)
            self.infos += [self.routers.info(index) for index in range(count)]

    def begin(self) -> None:
        for recorder, info in zip(self.recorders, self.infos, strict=True):
            recorder.begin(info)

    def flush(self) -> None:
        for recorder in self.recorders:
            recorder.flush()

    def end(self) -> None:
        for recorder in self.recorders:
            recorder.end()

    def hearing(self, know: Sequence[bool]) -> dict[str, Any]:
        """Options of a run that those which know its prompts do not hear."""
        own, *rotated = map(self._deaf_where, know, self.recorders, self.infos)
        return {"recorder": own, "rotated": self.routers, "rotated_recorders": rotated}

    @staticmethod
    def _deaf_where(knows: bool, recorder: Any, info: _core.RoutingInfo) -> Any:
        if not knows:
            return recorder
        deaf = _core.TraceRecorder(weights=False)
        deaf.begin(info)
        return deaf


def _as_prompts(prompts: Any) -> list[Prompt]:
    if prompts is None or isinstance(prompts, os.PathLike):
        return load_prompts(prompts)
    if isinstance(prompts, str):
        raise TypeError("record: expected a list of prompts, got text; use [text], or rs.load_prompts(path) for a file")
    if is_table(prompts):
        return from_table(prompts, "record")
    if isinstance(prompts, (Mapping, bytes)) or not isinstance(prompts, Iterable):
        raise refused("record", 'a list of prompts, a data frame with a column "text" or a path', prompts)
    items = list(prompts)
    width = len(str(len(items)))
    out = [Prompt(f"prompt-{i:0{width}}", None, p) if isinstance(p, str) else p for i, p in enumerate(items, 1)]
    seen: set[str] = set()
    for prompt in out:
        if not isinstance(prompt, Prompt):
            raise refused("record", "prompts as rs.Prompt or text", prompt)
        if prompt.id in seen:
            raise ValueError(f"record: expected ids that come once, got {prompt.id!r} twice")
        seen.add(prompt.id)
    if not out:
        raise ValueError("record: expected at least one prompt, got none")
    return out


def _encoded(
    model: Model, prompts: list[Prompt], max_new_tokens: int, chat_template: str | None, add_special_tokens: bool
) -> list[_Job]:
    if model.tokenizer is None:
        raise ValueError(f"record: text prompts need a tokenizer, and {model.path} has no tokenizer.json")
    if chat_template not in (None, "model"):
        raise ValueError(f"record: expected chat_template to be None or 'model', got {chat_template!r}")
    if chat_template is None:
        encoded = model._encode([prompt.text for prompt in prompts], add_special_tokens)
    else:
        encoded = chat_ids(model.path, prompts)
    context, vocabulary = model.config["max_position_embeddings"], model.config["vocab_size"]
    jobs = []
    for index, (prompt, token_ids) in enumerate(zip(prompts, encoded, strict=True)):
        length = len(token_ids)
        if length == 0:
            raise ValueError(f"record: prompt {prompt.id!r} is empty: it has no tokens")
        if max(token_ids) >= vocabulary:
            raise ValueError(
                f"record: prompt {prompt.id!r} has token id {max(token_ids)}, and the model's vocabulary has "
                f"{vocabulary}: tokenizer and model do not belong together"
            )
        if length + max_new_tokens > context:
            raise ValueError(
                f"record: prompt {prompt.id!r} has {length} tokens, and with {max_new_tokens} new ones exceeds "
                f"the model's context of {context}"
            )
        fields = dict(prompt.fields)
        if prompt.template is not None:
            fields["template"] = prompt.template
        sequence = {
            "id": prompt.id,
            "task": prompt.task or "",
            "text": prompt.text,
            "group": prompt.group or "",
            "prompt_tokens": length,
            "fields": [
                (key, json_text(value, f"record: prompt {prompt.id!r}", f"field {key!r}"))
                for key, value in fields.items()
            ],
        }
        jobs.append(_Job(index, token_ids, sequence))
    return jobs


def _forced(traces: _core.TraceSet) -> list[_Job]:
    jobs = []
    for index, trace in enumerate(traces):
        if trace.token_ids is None:
            raise ValueError(f"record: trace {trace.id!r} has no token ids to force")
        sequence = {
            "id": trace.id,
            "task": trace.task or "",
            "text": trace.text,
            "group": trace.group or "",
            "prompt_tokens": trace.prompt_tokens,
            "fields": [(key, json.dumps(value, ensure_ascii=False)) for key, value in trace.fields.items()],
        }
        jobs.append(_Job(index, trace.token_ids.tolist(), sequence))
    return jobs


def _prompts_sha256(jobs: list[_Job]) -> str:
    """Of what the model will be fed and how it is labelled."""
    canonical = [[job.sequence[key] for key in ("id", "task", "text", "group")] + [job.token_ids] for job in jobs]
    return hashlib.sha256(json.dumps(canonical, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def _batches(jobs: list[_Job], batch_size: int | str, new_tokens: int) -> Iterator[list[_Job]]:
    if batch_size == "auto":
        # Enough rows for a step to be worth its overhead; few enough that the cache stays small and progress shows.
        longest = max((len(job.token_ids) for job in jobs), default=0) + new_tokens
        size = max(1, min(32, 8192 // max(longest, 1)))
    else:
        size = whole_number("record", "batch_size", batch_size, least=1)
    return (jobs[i : i + size] for i in range(0, len(jobs), size))


def _missing(batches: Iterable[list[_Job]], kept: list[set[str]]) -> Iterator[tuple[list[_Job], tuple[bool, ...]]]:
    """Jobs that some recorder lacks, and which recorders know them: files of an interrupted run may differ by some."""
    for batch in batches:
        parts: dict[tuple[bool, ...], list[_Job]] = {}
        for job in batch:
            parts.setdefault(tuple(job.sequence["id"] in ids for ids in kept), []).append(job)
        yield from ((jobs, know) for know, jobs in parts.items() if not all(know))


def _run(
    model: Model,
    parts: Iterable[tuple[list[_Job], tuple[bool, ...]]],
    listeners: _Listeners,
    generation: dict[str, Any] | None,
    progress: bool | None,
    total: int,
) -> None:
    from tqdm import tqdm

    native = model._native
    parts = list(parts)
    done = total - sum(len(jobs) for jobs, _ in parts)
    bar = tqdm(
        total=total, initial=done, desc="recording", unit="prompt", disable=None if progress is None else not progress
    )
    listeners.begin()
    try:
        with bar:
            for jobs, know in parts:
                ids = [job.token_ids for job in jobs]
                options: dict[str, Any] = {"sequences": [job.sequence for job in jobs], **listeners.hearing(know)}
                options |= {"first_sequence": jobs[0].index, "begun": True}
                if generation is None:
                    native.replay(ids, **options)
                else:
                    native.generate(ids, streams=[job.index for job in jobs], **generation, **options)
                bar.update(len(jobs))
                listeners.flush()
    except OSError:
        raise  # the disk took no more: another flush would only hide why
    except BaseException:
        listeners.flush()  # Ctrl-C: what is whole so far can be read and resumed
        raise
    listeners.end()
