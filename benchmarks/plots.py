"""Draws `results/*.json` as SVG files beside them; needs only matplotlib, of the environment in `requirements/benchmarks.in`.

.venv-benchmarks/bin/python benchmarks/plots.py [--png]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

RESULTS = Path(__file__).with_name("results")
COLOURS = {"Timbre": "#0b6e4f", "LlamaIndex": "#7b4ab5", "LangChain": "#c2571a", "Haystack": "#1f6fb2"}
INDEX_COLOURS = {"embedded": "#0b6e4f", "weaviate": "#1f6fb2"}
TITLES = {"handbook": "Handbook", "squad": "SQuAD"}
INK, MUTED = "#222222", "#777777"
TARGET_MS, TARGET_CHUNKS = 10, 10_000  # p95, without the query embedding and the re-rank

matplotlib.rcParams.update(
    {
        "font.family": "DejaVu Sans", "font.size": 10, "axes.edgecolor": MUTED, "axes.labelcolor": INK, "text.color": INK,
        "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False,
        "svg.hashsalt": "timbre", "svg.fonttype": "path", "figure.facecolor": "white",
    }
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--png", action="store_true", help="also as PNG, to look at")
    suffixes = ("svg", "png") if parser.parse_args().png else ("svg",)
    for name, draw in (("retrieval", draw_recall), ("speed", draw_growth)):
        path = RESULTS / f"{name}.json"
        if path.is_file():
            figure = draw(json.loads(path.read_text()))
            for suffix in suffixes:
                figure.savefig(RESULTS / f"{name}.{suffix}", metadata={"Date": None} if suffix == "svg" else None, dpi=150)


def draw_recall(measured: dict[str, Any]) -> plt.Figure:
    """Page R@1 against the median query, a panel for each corpus: the shown set-ups large, the others of a peer small."""
    figure, panels = plt.subplots(1, len(measured["corpora"]), figsize=(10, 5.2), layout="constrained")
    for axes, (name, corpus) in zip(panels, measured["corpora"].items(), strict=True):
        _draw_corpus(axes, corpus)
        axes.set_title(f"{TITLES[name]}, {corpus['questions']} questions", loc="left", fontsize=11)
        axes.set_xlabel("milliseconds a query, median (logarithmic)")
        axes.set_ylabel("page recall at 1")
    return figure


def _draw_corpus(axes: Axes, corpus: dict[str, Any]) -> None:
    for row in corpus["peers"]:
        axes.scatter(row["p50_ms"], row["R@1"], s=18, color=COLOURS[row["system"]], alpha=0.35, linewidths=0)
    for row in corpus["systems"]:
        label = f"{row['system']} {row['R@1']:.2f}"
        axes.scatter(row["p50_ms"], row["R@1"], s=80, color=COLOURS[row["system"]], zorder=3, label=label)
    _legend_below(axes)
    shown = [*corpus["peers"], *corpus["systems"]]
    times, recalls = [row["p50_ms"] for row in shown], [row["R@1"] for row in shown]
    axes.set_xscale("log")
    axes.set_xlim(min(times) / 2, max(times) * 2)
    axes.set_ylim(min(recalls) - 0.04, max(recalls) + 0.06)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if str(value)[0] in "25" else ""))
    axes.grid(color="#e8e8e8", linewidth=0.8)
    axes.set_axisbelow(True)


def _legend_below(axes: Axes) -> None:
    """Below, since near points would cover each other's labels."""
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, handletextpad=0.4)


def draw_growth(measured: dict[str, Any]) -> plt.Figure:
    """Milliseconds of the index's legs against the number of chunks, both logarithmic, p50 and p95 of each index."""
    figure, axes = plt.subplots(figsize=(7, 5.4), layout="constrained")
    for index in dict.fromkeys(row["index"] for row in measured["retrieval"]):
        rows = sorted((row for row in measured["retrieval"] if row["index"] == index), key=lambda row: row["chunks"])
        chunks, colour = [row["chunks"] for row in rows], INDEX_COLOURS[index]
        for quantile, style in (("p50", "-"), ("p95", "--")):
            axes.plot(
                chunks, [row[f"{quantile}_ms"] for row in rows], style, marker="o", color=colour, label=f"{index}, {quantile}"
            )
    axes.plot(
        TARGET_CHUNKS, TARGET_MS, marker="_", markersize=26, markeredgewidth=2, color=INK, linestyle="", label="goal for p95"
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_xlabel("chunks (logarithmic)")
    axes.set_ylabel("milliseconds a query (logarithmic)")
    axes.grid(color="#e8e8e8", linewidth=0.8)
    axes.set_axisbelow(True)
    _legend_below(axes)
    return figure


if __name__ == "__main__":
    main()
