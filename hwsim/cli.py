"""The `hwsim` command.  Each command imports what it needs when it is called.

Exit status: 0 all is well; 1 an `expect` is unmet, or, where there is none, an unsafe outcome was
found; 2 the user's mistake; 3 a tool is missing or not permitted; 4 the environment (a full disk, a
folder that cannot be written); 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from hwsim.errors import HwsimError

if TYPE_CHECKING:
    from hwsim.topology.spec import Topology

INTERRUPTED = 130
EVERYDAY, FILES, RESEARCH = "Everyday", "Files", "Research"

app = typer.Typer(
    name="hwsim",
    help="What would a crash leave on the media, at every instant, and what would recovery make of it?",
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Format(StrEnum):
    """How a result is printed."""

    text = "text"
    json = "json"
    markdown = "markdown"


TopologyArgument = Annotated[
    str, typer.Argument(metavar="TOPOLOGY", help="A topology file, or the name of an example.", show_default=False)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change one key of the topology; may be given again."),
]
SeedOption = Annotated[int | None, typer.Option("--seed", metavar="N", help="The seed, instead of the topology's.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print the result.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Short for --format json.")]


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        import hwsim

        print(f"hwsim {hwsim.__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command(rich_help_panel=EVERYDAY)
def run(
    topology: TopologyArgument,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to write [default: hwsim-out/NAME-SEED].")
    ] = None,
    seed: SeedOption = None,
    changes: SetOption = None,
    format_: FormatOption = Format.text,
    json: JsonOption = False,
    perfetto: Annotated[bool, typer.Option("--perfetto", help="Write a timeline for ui.perfetto.dev too.")] = False,
    pcapng: Annotated[
        bool, typer.Option("--pcapng", help="Write the frames of bilateral links too, a file for each interface.")
    ] = False,
    waves: Annotated[
        bool, typer.Option("--waves", help="Write the waves of links' ends in Verilog too, a VCD file for each.")
    ] = False,
) -> int:
    """Simulate, evaluate every crash instant, check what is expected, report."""
    from hwsim import examples, output
    from hwsim.answers import answer
    from hwsim.report import summary
    from hwsim.topology import load, load_cases

    chosen = Format.json if json else format_
    path = examples.find(topology)
    resolved = load(path, changes or [], seed)
    cases = load_cases(path, changes or [], seed)
    folder = out or output.default_folder(resolved.name, resolved.seed)
    with progress() as say, output.staged(folder) as scratch:
        files = output.waves_in(scratch, resolved) if waves else None
        with output.captured(scratch, resolved) if pcapng else nullcontext() as observe:
            found = answer(resolved, cases, say=say, observe=observe, waves=files)
        say(f"{resolved.name}: writing {folder}", None)
        output.write_run(scratch, found.result, found.traces[0], resolved, perfetto=perfetto)
    match chosen:
        case Format.json:
            sys.stdout.write(output.to_json(found.result))
        case Format.markdown:
            print(summary.markdown(found.result, resolved), end="\n\n")
        case Format.text:
            summary.show(found.result, resolved)
            print(f"\n{output.REPORT} (open it in a browser), {output.RESULT} and {output.TRACE} are in")
    if chosen is not Format.json:
        print(f"{folder}/")
    return 0 if found.is_well else 1


@app.command(rich_help_panel=EVERYDAY)
def explore(
    topology: TopologyArgument,
    crashes: Annotated[int, typer.Option("--crashes", min=1, max=2, help="How many crashes at most.")] = 1,
    budget: Annotated[
        int, typer.Option("--budget", metavar="N", min=1, help="Live executions at most; what is left out is told.")
    ] = 1000,
    mutations: Annotated[
        bool, typer.Option("--mutations", help="Break the protocol in every known way, and say what notices.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", min=1, help="Processes [default: one a core].")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to write [default: hwsim-out/NAME-SEED/explore].")
    ] = None,
    seed: SeedOption = None,
    changes: SetOption = None,
    format_: FormatOption = Format.text,
    json: JsonOption = False,
) -> int:
    """Strike everything after every event of one checkpoint; recover, judge, write what goes wrong as reproducers."""
    from hwsim import examples, output
    from hwsim.explore import explore as explored
    from hwsim.report import exploration
    from hwsim.topology import load, load_cases

    chosen = Format.json if json else format_
    path = examples.find(topology)
    resolved = load(path, changes or [], seed)
    cases = load_cases(path, changes or [], seed)
    if mutations:
        return _mutations(resolved, cases, budget, jobs, chosen)
    folder = out or output.default_folder(resolved.name, resolved.seed) / "explore"
    with progress() as say, output.staged(folder) as scratch:
        found = explored(resolved, cases, crashes=crashes, budget=budget, jobs=jobs, say=say)
        written = output.write_exploration(scratch, found.result, [one.to_yaml() for one in found.reproducers])
    _print_found(chosen, found.result, exploration.text, exploration.markdown)
    if chosen is not Format.json:
        for name in written:
            print(f"hwsim replay {folder / name}")
        print(f"{folder}/")
    return 0 if found.is_well else 1


def _print_found(
    chosen: Format, result: Mapping[str, Any], text: Callable[[Mapping[str, Any]], str],
    markdown: Callable[[Mapping[str, Any]], str],
) -> None:  # fmt: skip
    """A result in the format chosen; where more is said after it, an empty line parts the two."""
    from hwsim import output

    if chosen is Format.json:
        sys.stdout.write(output.to_json(result))
    else:
        print((markdown if chosen is Format.markdown else text)(result), end="\n\n")


def _mutations(
    topology: Topology, cases: Mapping[str, Topology], budget: int, jobs: int | None, chosen: Format
) -> int:  # fmt: skip
    """The table of mutations and what catches each; 1 where one survives that could show."""
    from hwsim.explore.mutants import mutants
    from hwsim.report import exploration

    with progress() as say:
        found = mutants(topology, cases, budget=budget, jobs=jobs or os.cpu_count() or 1, say=say)
    tried = [one.to_json() for one in found]
    if chosen is Format.json:
        _print_json(tried)
    else:
        told = exploration.mutations_markdown if chosen is Format.markdown else exploration.mutations
        print(told(topology.name, topology.protocol.kind, tried))
    return 1 if any(one.survived for one in found) else 0


@app.command(rich_help_panel=EVERYDAY)
def compare(
    topology: TopologyArgument,
    protocols: Annotated[
        str, typer.Option("--protocols", metavar="all|A,B", help="Which of them, with commas between.")
    ] = "all",
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if any of them has an unsafe outcome.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to write [default: hwsim-out/NAME-compare-SEED].")
    ] = None,
    seed: SeedOption = None,
    changes: SetOption = None,
    format_: FormatOption = Format.text,
    json: JsonOption = False,
) -> int:
    """Put commit protocols side by side on one topology: what each risks, what it costs, what stops it."""
    from hwsim import examples, output
    from hwsim.report import comparison
    from hwsim.studies import comparison as study

    chosen = Format.json if json else format_
    path = examples.find(topology)
    wanted = [name.strip() for name in protocols.split(",") if name.strip()]
    own = study.own(path, changes or [], seed)
    folder = out or output.default_folder(f"{own.name}-compare", own.seed)
    with progress() as say, output.staged(folder) as scratch:
        found = study.compare(path, changes or [], seed, protocols=wanted, say=say)
        output.write_comparison(scratch, found.result)
    _print_found(chosen, found.result, comparison.text, comparison.markdown)
    if chosen is not Format.json:
        print(f"{folder}/")
    return 1 if strict and not found.all_safe else 0


@app.command(rich_help_panel=FILES)
def replay(
    reproducer: Annotated[Path, typer.Argument(metavar="REPRODUCER", help="A file that explore wrote.")],
    format_: FormatOption = Format.text,
    json: JsonOption = False,
) -> int:
    """One execution again, the same to the byte; exit status 1 where it is not."""
    from hwsim.explore import reproducer as reproducers
    from hwsim.report import exploration

    done = reproducers.replay(reproducer)
    if json or format_ is Format.json:
        _print_json({"outcome": done.outcome, "digest": done.digest, "same": done.same,
                     "recorded": {"outcome": done.reproducer.outcome, "digest": done.reproducer.digest}})  # fmt: skip
    else:
        story = done.reproducer.story
        print(exploration.replayed(str(reproducer), done.outcome, done.same, done.reproducer.outcome, story))
    return 0 if done.same else 1


@app.command(rich_help_panel=EVERYDAY)
def check(
    topologies: Annotated[list[str], typer.Argument(metavar="TOPOLOGY...", show_default=False)],
    format_: FormatOption = Format.text,
    json: JsonOption = False,
) -> int:
    """Validate only, studies too: every mistake as file:line:column: key.path: what is wrong; what to write."""
    from hwsim import examples
    from hwsim.studies.sweeps.loading import mistakes_of as of_a_study
    from hwsim.topology import check as mistakes_of

    mistakes = mistakes_of([examples.find_either(name) for name in topologies], others=[of_a_study])
    if json or format_ is Format.json:
        from dataclasses import asdict

        _print_json([asdict(mistake) for mistake in mistakes])
    else:
        for mistake in mistakes:
            print(mistake, file=sys.stderr)
        if not mistakes:
            print("no mistakes" if len(topologies) == 1 else f"no mistakes in {len(topologies)} files")
    return 2 if mistakes else 0


@app.command(rich_help_panel=EVERYDAY)
def new() -> None:
    """Print a topology to start from: hwsim new > mine.yaml."""
    from hwsim.topology import starter

    print(starter(), end="")


@app.command(rich_help_panel=FILES)
def kinds() -> None:
    """Print every kind with its parameters and units, and which fault may strike what."""
    from hwsim import topology

    print(topology.kinds().rstrip())


@app.command(rich_help_panel=FILES)
def schema(study: Annotated[bool, typer.Option("--study", help="Of a study instead.")] = False) -> None:
    """Print the JSON Schema of a topology file, or of a study, for an editor."""
    from hwsim import topology
    from hwsim.studies.sweeps import spec

    _print_json(spec.schema() if study else topology.schema())


importing = typer.Typer(help="Make a profile from what a device says of itself.", no_args_is_help=True)
app.add_typer(importing, name="import", rich_help_panel=FILES)


@importing.command("nvme")
def import_nvme(
    controller: Annotated[Path, typer.Argument(metavar="ID_CTRL.json", help="Of nvme id-ctrl -o json.")],
    others: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FIO.json] [ID_NS.json]", help="Of fio and nvme id-ns, in any order."),
    ] = None,
    plp: Annotated[
        bool | None, typer.Option("--plp/--no-plp", help="Whether the drive has power-loss protection.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The profile's [default: the model's].")
    ] = None,
) -> int:
    """Print a drive profile from Identify Controller data and fio results; say what they cannot tell."""
    from hwsim import nvme_import

    if plp is None and sys.stdin.isatty() and sys.stderr.isatty():
        plp = typer.confirm("Identify cannot tell: does this drive have power-loss protection?", err=True)
    profile = nvme_import.import_nvme(controller, others or [], plp=plp, name=name)
    sys.stdout.write(profile.to_yaml())
    for key, what in profile.missing.items():
        print(f"hwsim: not told by these files: {key}: {what}", file=sys.stderr)
    return 0


@app.command(rich_help_panel=RESEARCH)
def claims(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="Such as C1; all by default.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Take the full samples; minutes instead of seconds.")] = False,
    format_: FormatOption = Format.text,
    json: JsonOption = False,
) -> int:
    """What the experiments say of each claim about checkpoints and atomicity."""
    from hwsim.studies import claims as study

    with progress() as say:
        judged = study.run(ids or (), full, say=lambda stage: say(stage, None))
    _print_json(judged) if json or format_ is Format.json else print(study.render(judged))
    return 0


linking = typer.Typer(
    help="The bilateral link's protocol: its table, and what a search of it finds.", no_args_is_help=True
)
app.add_typer(linking, name="link", rich_help_panel=RESEARCH)


class TableFormat(StrEnum):
    """How the transition table is printed."""

    text = "text"
    markdown = "markdown"
    dot = "dot"


@linking.command("table")
def link_table(
    format_: Annotated[TableFormat, typer.Option("--format", help="dot is Graphviz.")] = TableFormat.text,
) -> None:
    """Print the protocol's one transition table."""
    from hwsim.bilateral import printed

    match format_:
        case TableFormat.markdown:
            print(printed.markdown())
        case TableFormat.dot:
            print(printed.dot())
        case TableFormat.text:
            from rich.console import Console

            console = Console()
            # A file or a pipe has no width to respect, and nine columns need some.
            (console if console.is_terminal else Console(width=240)).print(printed.grid())


@linking.command("check")
def link_check(
    full: Annotated[bool, typer.Option("--full", help="Search everything; minutes instead of seconds.")] = False,
    format_: FormatOption = Format.text,
    json: JsonOption = False,
) -> int:
    """Search all that two ends of a link, or the domains of a small tree, can come to; try broken variants too."""
    from hwsim.studies import link_check as study

    with progress() as say:
        result = study.run(full, say=say)
    if json or format_ is Format.json:
        _print_json(result)
    else:
        print(study.render(result, markdown=format_ is Format.markdown))
    return 1 if result["off"] else 0


@app.command(rich_help_panel=RESEARCH)
def sweep(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study's file, or the name of one that ships.", show_default=False)
    ],
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", min=1, help="Worker processes [default: one a core].")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster; not built yet.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="T", help="Begin nothing after this time, such as 10min.")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="Write report.html: plot, front, table, answer.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to write [default: hwsim-out/NAME-SEED].")
    ] = None,
    format_: FormatOption = Format.text,
    json: JsonOption = False,
) -> int:
    """Run a grid of runs on this machine; goes on where it stopped, or was killed."""
    from hwsim import examples, output
    from hwsim.studies.sweeps import command
    from hwsim.studies.sweeps.loading import load

    chosen = Format.json if json else format_
    budget_s = command.budget_s(budget)
    command.refuse_scheduler(scheduler)
    asked = load(examples.find_study(study))
    folder = out or output.default_folder(asked.name, asked.seed)
    with progress() as say:
        told = command.run(asked, folder, jobs=jobs, budget_s=budget_s, report=report, say=say)
    match chosen:
        case Format.json:
            sys.stdout.write(output.to_json(told))
        case Format.markdown:
            print(command.markdown(told), end="\n\n")
        case Format.text:
            command.show(told)
    if chosen is not Format.json:
        print(f"{folder}/")
    return 0


@app.command(rich_help_panel=RESEARCH)
def interval(
    size: Annotated[str, typer.Option("--size", metavar="S", help="Of a checkpoint, such as 912GB.")],
    bandwidth: Annotated[str, typer.Option("--bandwidth", metavar="B", help="At which it is saved, such as 40GB/s.")],
    mtti: Annotated[str, typer.Option("--mtti", metavar="M", help="Mean time to interruption, such as 3.1h.")],
    restart: Annotated[str, typer.Option("--restart", metavar="R", help="From a failure until work goes on, as 5min.")],
    format_: FormatOption = Format.text,
    json: JsonOption = False,
) -> int:
    """The checkpoint interval to choose, what it costs to be off, Young's and Daly's beside the exact."""
    from hwsim.studies import optimal_interval

    told = optimal_interval.advice_on(size, bandwidth, mtti, restart)
    _print_json(told) if json or format_ is Format.json else print(optimal_interval.render(told))
    return 0


@contextmanager
def progress() -> Iterator[Callable[[str, float | None], None]]:
    """Give a function that shows the stage the work is at and its share: on a terminal, and nowhere else."""
    if not sys.stderr.isatty():
        yield lambda _stage, _share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("reading", total=None)

        def show(stage: str, share: float | None) -> None:
            is_new = bars.tasks[0].description != stage  # shown at once; its share only as often as the eye sees it
            total = None if share is None else 1.0
            bars.update(task, description=stage, total=total, completed=share or 0.0, refresh=is_new)

        yield show


def status_of(arguments: Sequence[str] | None = None) -> int:
    """Run the command *arguments* (those of the process by default) and return its exit status; it never raises."""
    try:
        status = app(args=None if arguments is None else list(arguments), prog_name="hwsim", standalone_mode=False)
        sys.stdout.flush()
        if status == INTERRUPTED:  # typer's own word for a Ctrl-C
            raise KeyboardInterrupt
        return status if isinstance(status, int) else 0
    except HwsimError as error:
        return _complain(str(error), error.exit_status)
    except typer.TyperException as error:
        return _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted; nothing half-written is left behind", INTERRUPTED)
    except (BrokenPipeError, SystemExit):  # the latter is typer's word for the former
        _drop_output()  # whoever read the output has read enough
        return 0
    except MemoryError:
        return _complain("out of memory; a shorter horizon or fewer repeats take less", 4)
    except OSError as error:
        from hwsim.output import explain

        _drop_output()
        return _complain(explain(error), 4)


def main() -> NoReturn:
    """The entry point of the command."""
    sys.exit(status_of())


def _print_json(data: object) -> None:
    from json import dumps

    print(dumps(data, indent=2, ensure_ascii=False))


def _complain(message: str, status: int) -> int:
    print(f"hwsim: {message}" if "\n" not in message else message, file=sys.stderr)
    return status


def _usage(error: typer.TyperException) -> int:
    """One line about a wrong command line, and where its help is."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "hwsim"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    return _complain(f"{' '.join(message.split())} Try '{command} --help'.", 2)


def _drop_output() -> None:
    """Let the interpreter's last flush go nowhere, so that it does not complain once more."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass  # not a real file: nothing will be flushed to it
