"""The report a run ends with, as text for people."""

from pathlib import Path
from typing import Literal

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from satllm_ros.report.figures.figures import Summary
from satllm_ros.report.figures.satellites import SatelliteUse
from satllm_ros.report.printing import units
from satllm_ros.report.record.audit import JOURNAL

WIDTH = 100


def report_console() -> Console:
    """A console on standard output, `WIDTH` columns wide where no terminal says otherwise."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def print_report(summary: Summary, console: Console, files: tuple[Path, ...] = ()) -> None:
    """Print the figures of a run, and where its files are."""
    console.print()
    console.rule(_verdict(summary), style="dim", align="left")
    console.print(Padding(_facts(_outcome(summary)), (0, 0, 0, 1), expand=False))
    if not _nothing_flew(summary):
        _section(console, "Between satellites", _hops(summary))
        _section(console, _satellites_title(summary), _satellites(summary))
        if summary.emulated:
            _section(console, None, Text(_EMULATION_NOTE, style="italic yellow"))
        follows = " (follows the emulated compute times)" if summary.emulated else ""
        _section(console, f"Time{follows}", _facts(_timing(summary)))
        _section(console, "Traffic", _facts(_traffic(summary)))
    if files:
        console.print()
    for file in files:
        # Not folded at the edge of the terminal: a path is there to be copied.
        line = Text(f"{' files' if file is files[0] else '':<13}", style="dim").append(str(file), style="not dim cyan")
        console.print(line, soft_wrap=True)
    console.print()


def _section(console: Console, title: str | None, content: RenderableType) -> None:
    console.print()
    if title:
        console.print(Text(f" {title}", style="bold"))
    console.print(Padding(content, (0, 0, 0, 1), expand=False))


_BEGINNING = {None: "acquisition", "wire": "acquisition", "stamp": "the image's stamp", "arrival": "its arrival"}
# Dropped images that the report names.
SHOWN_IMAGES = 5
_EMULATION_NOTE = (
    "Emulated compute is a satellite's planned time, waited for; it is not this computer's performance. "
    "'real' is what the processor took."
)


def _nothing_flew(summary: Summary) -> bool:
    return not (summary.tiles.sent or summary.tiles.received or summary.hops)


def _verdict(summary: Summary) -> Text:
    tiles = summary.tiles
    if summary.exit_ok:
        return Text(f"COMPLETE: all {tiles.sent} tiles came down exactly once", style="bold green")
    if _nothing_flew(summary):
        dropped = sum(tiles.dropped.values())
        why = f"all {dropped} tiles were dropped before they were sent" if dropped else "no image came to be flown"
        return Text(f"NOTHING FLEW: {why}", style="bold red")
    words = f"INCOMPLETE: {tiles.received} of {tiles.sent} tiles came down"
    if tiles.received > tiles.sent:
        words += ", more than were sent"
    elif any(tiles.dropped.values()):
        words += ", others were dropped"
    elif tiles.received == tiles.sent:
        words += ", but the run does not add up"
    return Text(words, style="bold red")


def _outcome(summary: Summary) -> list[tuple[str, Text]]:
    tiles = summary.tiles
    counts = Text(f"{tiles.sent} sent   {tiles.received} received")
    counts.append(f"   {tiles.lost} lost", style="bold red" if tiles.lost else "")
    if tiles.duplicates:
        counts.append(f"   {tiles.duplicates} copies suppressed")
    for cause, count in tiles.dropped.items():
        counts.append(f"   {count} dropped: {cause}", style="bold red" if count else "")
    rows = [("tiles", counts)]
    if named := summary.dropped_images:
        shown = ", ".join(f"{image.name} ({image.cause})" for image in named[:SHOWN_IMAGES])
        more = " and others: summary.json, record/frames.jsonl" if len(named) > SHOWN_IMAGES else ""
        rows.append(("dropped", Text(shown + more)))
    if summary.in_custody:
        places = ", ".join(f"{count} {place}" for place, count in summary.in_custody.items())
        rows.append(("in custody", Text(places)))
    rows += _audit(summary)
    if summary.gaps:
        rows.append(("unknown", Text("; ".join(summary.gaps), style="yellow")))
    rows += _comparison(summary)
    if summary.notes:
        rows.append(("note", Text("; ".join(summary.notes), style="yellow")))
    return rows


def _audit(summary: Summary) -> list[tuple[str, Text]]:
    audit = summary.audit
    if audit is None:
        return []
    if audit.adds_up:
        parts = f"{audit.delivered} delivered + {sum(audit.dropped.values())} dropped"
        custody = f"{sum(audit.in_custody.values())} in custody"
        by = "" if audit.basis == JOURNAL else " (by sensing's count alone)"
        rows = [("audit", Text(f"{audit.acquired} acquired = {parts} + {custody}{by}"))]
    else:
        rows = [("audit", Text(f"DOES NOT ADD UP: {'; '.join(audit.complaints)}", style="bold red"))]
    if audit.unheard_frames:
        words = f"{audit.unheard_frames} images that the camera published; they are in no other count"
        rows.append(("not heard", Text(words, style="bold red")))
    if audit.unread_frames and not audit.ended:
        rows.append(("not read", Text(f"{audit.unread_frames} images of the source, as the run ended before")))
    return rows


def _comparison(summary: Summary) -> list[tuple[str, Text]]:
    accuracy, rows = summary.accuracy, []
    flown = Text("flown ").append(units.percent(accuracy.flown, 2), style="bold")
    there = " on the sample" if accuracy.agreement_interval is not None else ""
    flown.append(f"   unsplit and uncompressed {units.percent(accuracy.reference, 2)}{there}")
    if accuracy.flown_on_reference is not None and accuracy.reference is not None:
        # Of the same tiles: that of different ones would be chance.
        flown.append(f"   difference {100 * (accuracy.flown_on_reference - accuracy.reference):+.2f} points{there}")
    if (accuracy.flown, accuracy.reference) != (None, None):
        rows.append(("accuracy", flown))
    if accuracy.agreement is not None:
        same = f"{units.percent(accuracy.agreement, 2)} of the tiles got the class the unsplit model gives"
        if accuracy.agreement_interval is not None:
            low, high = (f"{100 * share:.2f}" for share in accuracy.agreement_interval)
            same += f" ({low} to {high} %, of a sample of {accuracy.compared_tiles} of {summary.tiles.received} tiles)"
        rows.append(("agreement", Text(same)))
    return rows


def _timing(summary: Summary) -> list[tuple[str, Text]]:
    delay, makespan, throughput = summary.delay_s, summary.makespan_s, summary.throughput
    if not makespan.measured:
        reason = "of no tile the time from its acquisition is known"
        if not summary.tiles.received:
            reason = "no tile came down"
        elif summary.delay_s.p50 is not None:
            reason = "only the newest tiles are listed"
        return [("makespan", Text(f"unknown: {reason}", style="red"))]
    spent = Text("measured ").append(f"{makespan.measured:.2f} s", style="bold")
    for word, predicted_s in (
        ("predicted", makespan.predicted_exact),
        ("paper's model", makespan.predicted_paper),
    ):
        if predicted_s is not None:
            spent.append(f"   {word} {predicted_s:.2f} s (")
            spent.append(f"{100 * (predicted_s / makespan.measured - 1):+.1f} %", style="bold").append(")")
    flow = Text("").append(f"{throughput.tiles_per_s:.2f} tiles/s", style="bold")
    if throughput.of_ideal is not None:
        flow.append("   ").append(units.percent(throughput.of_ideal, 1), style="bold")
        flow.append(f" of the ideal flow line ({makespan.ideal:.2f} s from this run's median times)")
    times = f"p50 {units.seconds(delay.p50)} s   p95 {units.seconds(delay.p95)} s"
    if delay.uncertainty:
        times += f"   to within {units.seconds(delay.uncertainty)} s"
    return [
        ("delay", Text(f"{times}   from {_BEGINNING[summary.acquisition]} to the ground's write")),
        ("makespan", spent),
        ("throughput", flow),
        *([("speeds", Text(speeds))] if (speeds := _speeds(summary)) else []),
        *([("clock", Text(summary.acquisition_reason, style="dim"))] if summary.acquisition_reason else []),
    ]


def _speeds(summary: Summary) -> str:
    """How fast satellites without emulation are, and how fast they were thought to be; empty if that is not known."""
    said = [
        f"{s.name} {1e3 * s.first_block_s:.3g} ms, {1e3 * s.flown_block_s:.3g} ms"
        f" ({100 * (s.flown_block_s / s.first_block_s - 1):+.0f} %)"
        for s in summary.satellites
        if not s.emulated and s.first_block_s and s.flown_block_s
    ]
    return f"a tile in a block, as planned at first and as flown: {'; '.join(said)}" if said else ""


def _traffic(summary: Summary) -> list[tuple[str, Text]]:
    traffic = summary.traffic_bytes
    total = Text("ISL ").append(units.size(traffic.isl), style="bold")
    total.append("   S2G ").append(units.size(traffic.s2g), style="bold")
    if traffic.isl is not None and traffic.s2g is not None:
        total.append(f"   together {units.size(traffic.isl + traffic.s2g)}")
    total.append(f"   upload to the first satellite {units.size(traffic.upload)}")
    return [("bytes", total), ("counted", Text(traffic.counting_rule, style="dim"))]


def _facts(rows: list[tuple[str, Text]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, min_width=10)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, text)
    return table


def _table(*columns: tuple[str, Literal["left", "right"]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False, header_style="dim")
    for name, justify in columns:
        table.add_column(name, justify=justify, no_wrap=justify == "right", overflow="fold")
    return table


def _hops(summary: Summary) -> Table | Text:
    if not summary.hops:
        return Text(" no activation crossed a link", style="dim")
    numbers = ("messages", "fp32", "on the wire", "ratio", "q", "effective rate")
    table = _table(("from", "left"), ("to", "left"), ("codec", "left"), *((name, "right") for name in numbers))
    for hop in summary.hops:
        table.add_row(
            hop.sender,
            hop.receiver,
            ", ".join(hop.settings),
            str(hop.messages),
            units.size(hop.fp32_bytes),
            units.size(hop.wire_bytes),
            Text(f"{hop.ratio:.2f}x", style="bold"),
            f"{hop.q:.4f}",
            units.rate(hop.effective_rate_bps),
        )
    return table


def _satellites_title(summary: Summary) -> str:
    batch = max((s.tiles for s in summary.satellites if s.tiles), default=0)
    return f"Satellites (median seconds per batch of {batch} tiles; busy: share of the makespan)"


def _satellites(summary: Summary) -> Table:
    numbers = ("blocks", "memory", "wait", "decode", "compute", "real", "encode", "busy", "real")
    table = _table(("satellite", "left"), *((name, "right") for name in numbers), ("kind", "left"))
    for s in summary.satellites:
        table.add_row(
            s.name,
            _blocks(s),
            units.size(s.memory_bytes),
            units.seconds(s.wait_s),
            units.seconds(s.decode_s),
            Text(units.seconds(s.compute_s), style="italic yellow" if s.emulated else "bold"),
            units.seconds(s.compute_real_s),
            units.seconds(s.encode_s),
            Text(units.percent(s.utilisation), style="italic yellow" if s.emulated else "bold"),
            units.percent(s.utilisation_real),
            Text("emulated", style="italic yellow") if s.emulated else Text("real"),
        )
    return table


def _blocks(s: SatelliteUse) -> str:
    if s.start is None or s.stop is None:
        return "none"
    return f"{s.start + 1}-{s.stop}" if s.stop > s.start + 1 else str(s.stop)
