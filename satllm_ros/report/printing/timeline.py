"""The picture of a run: who computed and who sent, when."""

from pathlib import Path
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from satllm_ros.report.printing.lanes import Bar, Lane, lanes
from satllm_ros.report.record.record import RunRecord

# Okabe and Ito's colors: told apart with every common kind of color blindness.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7")
INK = "#22303C"
MUTED = "#6B7A87"
PALE = 0.38
ON_DARK = ("#0072B2", "#009E73", "#D55E00")
COMPUTE_HEIGHT = 0.84
LINK_HEIGHT = 0.40
# Share of a panel: a message of milliseconds would be thinner than a pixel.
LEAST_WIDTH = 0.0025
CYCLES_AFTER_FILL = 4
LEFT, RIGHT = 0.095, 0.925


def write_timeline(run: RunRecord, path: Path) -> None:
    """Draw the run as a PNG: how the pipeline fills and runs in its first cycles, and the run as a whole."""
    drawn = lanes(run)
    figure = Figure(figsize=(15, 3.4 + 0.62 * max(4, len(drawn))), dpi=130, facecolor="white")
    if not drawn:
        figure.text(0.5, 0.5, "no batch was computed", ha="center", va="center", color=MUTED, fontsize=16)
        figure.savefig(path)
        return
    zoom, whole = figure.subplots(2, 1, gridspec_kw={"height_ratios": (2.2, 1.0)})
    # An axis has some length, even if nothing took any time.
    end_s = max(bar.start_s + bar.duration_s for lane in drawn for bar in lane.bars) or 1.0
    zoom_s = min(end_s, _zoom_s(drawn)) or end_s
    _draw(zoom, drawn, zoom_s, numbered=True)
    _draw(whole, drawn, end_s, numbered=False)
    whole.axvspan(0, zoom_s, facecolor="none", edgecolor=INK, linewidth=1.2, zorder=5)
    zoom.set_title("Fill and steady state (the framed part below)", loc="left", fontsize=11, color=INK)
    whole.set_title(
        "The whole run, and the share of it during which each lane was busy",
        loc="left",
        fontsize=11,
        color=INK,
    )
    _mark_shares(whole, drawn, end_s)
    for axes in (zoom, whole):
        axes.set_xlabel(f"time since the first {'transfer' if run.transfers else 'compute'} [s]", color=INK)
    _head(figure, run, drawn)
    figure.subplots_adjust(
        left=LEFT,
        right=RIGHT,
        top=1 - 1.25 / figure.get_figheight(),
        bottom=0.075,
        hspace=2.4 / figure.get_figheight(),
    )
    figure.savefig(path)


def _zoom_s(drawn: list[Lane]) -> float:
    first_out_s = max(min(bar.start_s + bar.duration_s for bar in lane.bars) for lane in drawn)
    starts_s = [bar.start_s for bar in drawn[-1].bars]
    cycles_s = [after - before for before, after in zip(starts_s, starts_s[1:], strict=False)]
    return first_out_s + CYCLES_AFTER_FILL * (median(cycles_s) if cycles_s else 0.0)


def _draw(axes: Axes, drawn: list[Lane], end_s: float, *, numbered: bool) -> None:
    for row, lane in enumerate(drawn):
        height = LINK_HEIGHT if lane.is_link else COMPUTE_HEIGHT
        bars = [bar for bar in lane.bars if bar.start_s < end_s]
        colors = [COLORS[(bar.batch - 1) % len(COLORS)] for bar in bars]
        thin_s = 2 * LEAST_WIDTH * end_s
        edges = [
            INK if bar.resent else "white" if bar.duration_s > thin_s else color
            for bar, color in zip(bars, colors, strict=True)
        ]
        axes.broken_barh(
            [(bar.start_s, max(bar.duration_s, LEAST_WIDTH * end_s)) for bar in bars],
            (row - height / 2, height),
            facecolors=colors,
            edgecolors=edges,
            linewidth=0.8 if numbered else min(0.25, 25 / len(lane.bars)),
            snap=False,
            alpha=PALE if lane.emulated else 1.0,
        )
        if lane.emulated:
            axes.broken_barh(
                [(bar.start_s, min(bar.real_s, bar.duration_s)) for bar in bars],
                (row + height / 2 - 0.24, 0.24),
                facecolors=colors,
                linewidth=0,
                snap=False,
            )
        if numbered:
            _number(axes, row, lane, bars, end_s)
    axes.set_xlim(0, end_s)
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.set_yticks(range(len(drawn)), [lane.name + " *" * lane.apart for lane in drawn])
    for label, lane in zip(axes.get_yticklabels(), drawn, strict=True):
        label.set_fontsize((8 if lane.is_link else 10) - (0 if numbered else 1.5))
        label.set_color(MUTED if lane.is_link else INK)
        label.set_fontweight("normal" if lane.is_link else "bold")
    axes.grid(axis="x", color="#DDE3E8", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=INK, axis="x")
    axes.tick_params(length=0, axis="y")
    axes.spines[:].set_visible(False)


def _number(axes: Axes, row: int, lane: Lane, bars: list[Bar], end_s: float) -> None:
    for bar in bars:
        shown_s = min(bar.start_s + bar.duration_s, end_s) - bar.start_s
        if shown_s < 0.014 * end_s:
            continue
        white = not lane.emulated and COLORS[(bar.batch - 1) % len(COLORS)] in ON_DARK
        axes.text(
            bar.start_s + shown_s / 2,
            row - (0.09 if lane.emulated else 0.0),
            str(bar.batch),
            ha="center",
            va="center_baseline",
            fontsize=7.5 if lane.is_link else 9,
            color="white" if white else INK,
        )


def _mark_shares(axes: Axes, drawn: list[Lane], end_s: float) -> None:
    for row, lane in enumerate(drawn):
        text = f"{sum(bar.duration_s for bar in lane.bars) / end_s:.0%}"
        if lane.emulated:
            text += f"  (real {sum(bar.real_s for bar in lane.bars) / end_s:.0%})"
        color = MUTED if lane.is_link else INK
        axes.text(1.008, row, text, transform=axes.get_yaxis_transform(), fontsize=7.5, color=color, va="center")


def _head(figure: Figure, run: RunRecord, drawn: list[Lane]) -> None:
    batches = max(bar.batch for lane in drawn for bar in lane.bars)
    satellites = sum(not lane.is_link for lane in drawn)
    inch = 1 / figure.get_figheight()
    title = f"{batches} batches of {run.tiles_per_batch} tiles through {satellites} satellites"
    figure.text(LEFT, 1 - 0.42 * inch, title, fontsize=16, fontweight="bold", color=INK, va="center")
    emulated = any(lane.emulated for lane in drawn)
    note = "One color and number per batch; thin lanes are links. "
    if emulated:
        note += "Pale: emulated compute time. Strip at its foot: what the processor really took."
    else:
        note += "All compute times are real."
    if any(lane.apart for lane in drawn):
        note += " * starts at the first event of its own clock."
    figure.text(LEFT, 1 - 0.74 * inch, note, fontsize=10, color=MUTED, va="center")
    gray = "#55636E"
    keys = [Rectangle((0, 0), 1, 1, facecolor=gray, label="compute, real")]
    if emulated:
        keys.insert(0, Rectangle((0, 0), 1, 1, facecolor=gray, alpha=PALE, label="compute, emulated"))
    if any(bar.resent for lane in drawn for bar in lane.bars):
        keys.append(Rectangle((0, 0), 1, 1, facecolor="none", edgecolor=INK, label="sent again"))
    figure.legend(
        handles=keys,
        loc="upper right",
        bbox_to_anchor=(RIGHT, 1 - 0.2 * inch),
        borderaxespad=0.0,
        ncol=len(keys),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
    )
