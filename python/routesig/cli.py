"""The command line (`routesig --help`): results on stdout, progress on stderr, exit code 2 on bad input."""

import dataclasses
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import routesig as rs
from routesig import _cli_compare, _cli_files, _cli_model, _cli_study, _cli_terminal, _files
from routesig._cli_commands import command_line, reproducing
from routesig._cli_options import JsonFlag, TokenSet
from routesig._findings import trace_findings
from routesig._study._json import is_study
from routesig._study._parts import LEAST_SEEDS
from routesig._text import one_line

app = typer.Typer(
    name="routesig",
    help="Record which experts a mixture-of-experts model picks, and ask whether routing follows the task.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # its columns break words
)

NewTokens = Annotated[int, typer.Option(help="Tokens to generate for each prompt, at most.", min=0)]
_ROTATED = 20  # routers of the demo
_FEWER = ", or fewer where they would last minutes"


def main() -> None:
    """Run the command line. Bad input is one line on stderr and exit code 2; `--debug` shows where it came from."""
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) != len(sys.argv) - 1
    _cli_terminal.guard()
    if "" in arguments:  # of an unset variable; as a folder it would be the current one
        print("routesig: expected arguments of one character or more, got an empty one", file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(app(args=arguments or ["--help"], prog_name="routesig", standalone_mode=False))
    except typer.Abort:  # Ctrl-C
        sys.exit(130)
    except (ValueError, TypeError, OSError, ImportError, IndexError, RuntimeError) as error:
        if debug:
            raise
        text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        print(f"routesig: {one_line(text)}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        usage, context = getattr(error, "format_message", None), getattr(error, "ctx", None)
        if usage is None or debug:
            raise
        text = " ".join(usage().split()).removesuffix(".")  # choices stand on lines of their own
        command = "routesig" if context is None else context.command_path
        print(f"routesig: {one_line(text)}; {command} --help lists what there is", file=sys.stderr)
        sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"routesig {rs.__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    pass


@app.command(short_help="Record and study the shipped model.", epilog="Example: routesig demo --out results")
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("routesig-demo"),
    max_new_tokens: NewTokens = 32,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.", min=0)] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Record the shipped model on the shipped prompts, study it, and write a report."""
    began = time.perf_counter()
    _cli_study.make_folder(out)
    model, prompts, file = rs.load_model(), rs.load_prompts(), out / "traces.jsonl"
    typed = _demo_commands(max_new_tokens, seed)
    traces = rs.record(
        model,
        prompts,
        max_new_tokens=max_new_tokens,
        rotated_routers=_ROTATED,
        out=file,
        overwrite=True,
        command=typed[0],
    )
    untrained = [rs.record(rs.load_model(random_weights=i), traces, progress=False) for i in range(LEAST_SEEDS)]
    found = rs.study(traces, seed=seed, controls={"random weights": untrained})
    _cli_study.show(found, out, as_json, typed, traces=str(file))
    print(f"done in {time.perf_counter() - began:.0f} s", file=sys.stderr)


def _demo_commands(max_new_tokens: int, seed: int) -> list[str]:
    """What does the same from the shell, in the folder of the results."""
    commands = typer.main.get_group(app).commands
    recording: dict[str, Any] = {"out": "traces.jsonl", "max_new_tokens": max_new_tokens, "rotated_routers": _ROTATED}
    controls = ["rotated router=traces.rotated-*.jsonl", "random weights=random-weights-*.jsonl"]
    studying = {"path": "traces.jsonl", "out": ".", "seed": seed, "control": controls}
    return [
        command_line(commands["record"], recording),
        *(
            command_line(
                commands["record"],
                {"out": f"random-weights-{i:02d}.jsonl", "force": "traces.jsonl", "random_weights": i},
            )
            for i in range(LEAST_SEEDS)
        ),
        command_line(commands["study"], studying),
    ]


@app.command(
    short_help="Test whether routing follows the task.",
    epilog='Example: routesig study traces.jsonl --out results --control "random weights=control.jsonl"',
)
def study(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A trace file (finished or .partial) or a signature file.")],
    out: Annotated[Path, typer.Option(help="Folder for report.html, figures/, study.json and signatures.npz.")],
    tokens: TokenSet = "all",
    weighting: Annotated[
        Literal["count", "gate", "top1"],
        typer.Option(help="What a chosen expert counts: 1, its weight, or 1 if first."),
    ] = "count",
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.", min=0)] = 0,
    control: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FILE: traces of a control model; a repeated NAME is another seed. FILE may be a pattern such as "
            "'traces.rotated-*.jsonl'."
        ),
    ] = None,
    groups: Annotated[
        bool, typer.Option(help="Keep groups of prompts together, or treat prompts as independent.")
    ] = True,
    sources: Annotated[
        bool, typer.Option(help="Permute labels within sources that cross tasks, or do not look at sources.")
    ] = True,
    drop_invalid: Annotated[
        bool, typer.Option("--drop-invalid", help="Leave impossible rows and tokens that come twice out, counted.")
    ] = False,
    permutations: Annotated[
        int | None, typer.Option(help=f"Labellings of the permutation test: 10,000{_FEWER}.", min=1)
    ] = None,
    bootstrap: Annotated[int | None, typer.Option(help=f"Resamples for intervals: 2,000{_FEWER}.", min=1)] = None,
    null_draws: Annotated[
        int | None,
        typer.Option(help=f"Repetitions of each baseline: 1,000{_FEWER}.", min=2),
    ] = None,
    shuffles: Annotated[int | None, typer.Option(help=f"Same-token shuffles: 200{_FEWER}.", min=1)] = None,
    refits: Annotated[
        int | None,
        typer.Option(help=f"Permuted refits of the classifier: 200{_FEWER}.", min=0),
    ] = None,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation.", min=2)] = 5,
    title: Annotated[str | None, typer.Option(help="What the report is called; the model's name by itself.")] = None,
    report: Annotated[str, typer.Option(help="The report's file in the folder.")] = "report.html",
    as_json: JsonFlag = False,
) -> None:
    """Test whether routing follows the task, by how much more than chance, and show what explains it."""
    if Path(report).name != report:
        raise ValueError(f"study: expected --report as the name of a file in the folder, got {report!r}")
    files = _cli_study.control_files(control or [])
    given = _files.read_traces_or_signatures(path, drop_invalid=drop_invalid)
    controls = {name: [_files.read_traces_or_signatures(one) for one in paths] for name, paths in files.items()}
    _cli_study.make_folder(out)
    found = rs.study(
        given,
        tokens=tokens,
        weighting=weighting,
        seed=seed,
        groups=groups,
        sources=sources,
        drop_invalid=drop_invalid,
        permutations=permutations,
        bootstrap=bootstrap,
        null_draws=null_draws,
        shuffles=shuffles,
        refits=refits,
        folds=folds,
        controls=controls,
    )
    if twice := getattr(given, "dropped_tokens", 0):
        print(f"routesig: {twice} {'token' if twice == 1 else 'tokens'} that came twice left out", file=sys.stderr)
    if dropped := found.provenance["dropped_rows"]:
        rows = "row was" if dropped == 1 else "rows were"
        print(f"routesig: {dropped} impossible {rows} left out", file=sys.stderr)
    read = [(path, given)]
    read += [pair for name, paths in files.items() for pair in zip(paths, controls[name], strict=True)]
    typed = command_line(context.command, context.params)
    _cli_study.show(found, out, as_json, reproducing(typed, read), title, report)


@app.command(
    short_help="Record what a model's routers pick.",
    epilog="Example: routesig record --prompts mine.csv --out traces.jsonl",
)
def record(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The trace file to write (.jsonl).")],
    prompts: Annotated[
        Path | None, typer.Option(help="Prompts: .jsonl, .csv, .tsv or .txt; default: the shipped 80.")
    ] = None,
    force: Annotated[
        Path | None, typer.Option(help="Traces instead of prompts: their tokens are fed again, none is generated.")
    ] = None,
    model: Annotated[str, typer.Option(help="A Hugging Face folder, or 'tiny' for the shipped model.")] = "tiny",
    random_weights: Annotated[
        int | None, typer.Option(help="Seed of random weights in the place of the trained ones: a control.", min=0)
    ] = None,
    rotated_routers: Annotated[
        int,
        typer.Option(
            help="Record as well what so many routers rotated at random would pick, to files beside OUT: a control.",
            min=0,
        ),
    ] = 0,
    max_new_tokens: NewTokens = 32,
    temperature: Annotated[float, typer.Option(help="0: greedy.", min=0.0)] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the sampling.", min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    dtype: Annotated[Literal["auto", "float32", "bfloat16"], typer.Option(help="Of the weights.")] = "auto",
    batch_size: Annotated[int | None, typer.Option(help="Prompts that run together.", min=1)] = None,
    chat_template: Annotated[
        Literal["model"] | None, typer.Option(help="Every prompt as a message in the model's own chat template.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted recording.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Give up what an interrupted recording left in OUT.partial.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Run prompts through a model and write every routing decision to a trace file."""
    if prompts is not None and force is not None:
        raise ValueError("record: expected one of --prompts and --force, got both")
    chosen: Any = rs.load_prompts(prompts) if force is None else _cli_files.read_traces(force)
    folder = None if model == "tiny" else model
    loaded = rs.load_model(folder, device=device, dtype=dtype, random_weights=random_weights)
    try:
        traces = rs.record(
            loaded,
            chosen,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
            batch_size=batch_size or "auto",
            chat_template=chat_template,
            rotated_routers=rotated_routers,
            out=out,
            resume=resume,
            overwrite=overwrite,
            command=command_line(context.command, context.params),
        )
    except FileExistsError as error:
        raise FileExistsError(error.errno, f"{error.strerror} (--resume or --overwrite)", error.filename) from None
    except KeyboardInterrupt:
        partial = one_line(f"{out.resolve()}.partial")
        print(f"routesig: stopped; whole prompts are in {partial}, and --resume goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None
    summary = _trace_summary(traces) | {"traces": str(out)}
    if as_json:
        _print_json(summary)
    else:
        _print_trace_summary(summary)
        print(f"file      {one_line(str(out))}")


@app.command(epilog="Example: routesig convert traces.jsonl traces.parquet")
def convert(
    source: Annotated[Path, typer.Argument(help="A trace file of any readable format, finished or .partial.")],
    out: Annotated[Path, typer.Argument(help="The file to write: .jsonl or .parquet.")],
    drop_invalid: Annotated[
        bool, typer.Option("--drop-invalid", help="Of tokens at one position keep the later one.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write traces in another format."""
    traces = _cli_files.read_traces(source, drop_invalid=drop_invalid)
    traces.save(out)
    summary = _trace_summary(traces) | {"traces": str(out)}
    if as_json:
        _print_json(summary)
    else:
        _print_trace_summary(summary)
        print(f"file      {one_line(str(out))}, {out.stat().st_size} bytes")


@app.command(epilog="Example: routesig info traces.jsonl.partial")
def info(
    path: Annotated[
        Path,
        typer.Argument(
            help="A trace file (finished or .partial), a signature file, a study.json, a model folder, prompts."
        ),
    ],
    as_json: JsonFlag = False,
) -> None:
    """Say what a file or folder is and what it holds."""
    if path.is_dir():
        _cli_model.info(path, as_json)
        return
    if _files.holds_signatures(path):
        sigs = rs.read_signatures(path)
        summary: dict[str, Any] = {
            "kind": "signatures",
            "prompts": len(sigs),
            "layers": sigs.layers,
            "experts": sigs.experts,
        }
        summary |= {"tasks": _count(sigs.tasks), **{k: v for k, v in sigs.info.items() if v is not None}}
        _print_json(summary) if as_json else _print_table(summary)
        return
    if is_study(path):
        study = rs.read_study(path)
        origin = study.provenance
        summary = {"kind": "study", "model": origin["model"], "layers": origin["layers"]}
        summary |= {"experts": origin["experts"], "prompts": origin["prompts"]}
        summary |= {"difference": study.difference.value, "cohens_d": study.cohens_d.value}
        _print_json(summary) if as_json else _print_table(summary)
        return
    if _cli_files.is_prompts(path):
        prompts = rs.load_prompts(path)
        summary = {"kind": "prompts", "prompts": len(prompts), "tasks": _count([p.task for p in prompts])}
        _print_json(summary) if as_json else _print_table(summary)
        return
    summary = _trace_summary(_cli_files.read_traces(path, drop_invalid=True))
    if as_json:
        _print_json(summary)
    else:
        _print_trace_summary(summary)


app.command(
    short_help="Compare two recordings or two models.",
    epilog="Example: routesig compare bf16.jsonl float32.jsonl --out compared.json",
)(_cli_compare.compare)


def _trace_summary(traces: rs.TraceSet) -> dict[str, Any]:
    shape = traces.info
    return {
        "kind": "traces",
        "model": shape.model_name if shape else "",
        "layers": shape.layers if shape else 0,
        "experts": shape.experts if shape else 0,
        "top_k": shape.top_k if shape else 0,
        "prompts": len(traces),
        "tasks": _count(traces.tasks),
        "tokens": sum(len(trace) for trace in traces),
        "unknown_rows": sum(trace.unknown_rows for trace in traces),
        "nonfinite_rows": sum(trace.nonfinite_rows for trace in traces),
        "dropped_tokens": traces.dropped_tokens,
        "findings": [dataclasses.asdict(finding) | {"text": str(finding)} for finding in trace_findings(traces)],
        "complete": traces.complete,
    }


def _print_trace_summary(summary: dict[str, Any]) -> None:
    print(f"kind      traces{'' if summary['complete'] else ' (incomplete)'}")
    print(f"model     {one_line(summary['model']) or 'unknown'}")
    print(f"routing   {_shape_text(summary)}")
    print(f"prompts   {summary['prompts']} ({_tasks_text(summary['tasks'])})")
    print(f"tokens    {summary['tokens']}")
    if summary["unknown_rows"]:
        print(f"unknown   {summary['unknown_rows']} of {summary['layers'] * summary['tokens']} rows")
    if dropped := summary["dropped_tokens"]:
        what = "token whose position" if dropped == 1 else "tokens whose positions"
        print(f"dropped   {dropped} {what} repeated or decreased")
    for finding in summary["findings"]:
        print(f"{finding['severity']:<10}{one_line(finding['text'])}")


def _print_table(summary: dict[str, Any]) -> None:
    for key, value in summary.items():
        print(f"{key:<14}{_tasks_text(value) if isinstance(value, dict) else one_line(str(value))}")


def _print_json(summary: dict[str, Any]) -> None:
    print(json.dumps(summary, ensure_ascii=False))


def _count(tasks: list[str | None]) -> dict[str, int]:
    return dict(Counter("unlabelled" if task is None else task for task in tasks))


def _shape_text(summary: dict[str, Any]) -> str:
    return f"{summary['layers']} layers x {summary['experts']} experts x top-{summary['top_k']}"


def _tasks_text(tasks: dict[str, int]) -> str:
    return ", ".join(f"{n} {one_line(task)}" for task, n in tasks.items()) or "none"
