"""The figure of an evaluation: models and published numbers, a row per task."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ldarnet_analysis.evaluation_published import published_results
from ldarnet_analysis.style import GREY, TWO_COLUMNS, figure_style, new_figure

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = "osD^vP"
_ROW_MM = 6.0


def evaluation_figure(results: pd.DataFrame) -> Figure:
    """Means and intervals of every model, with published means as grey marks, x100."""
    tasks, models = list(dict.fromkeys(results["task"])), list(dict.fromkeys(results["model"]))
    published = published_results()
    with figure_style():
        figure = new_figure(TWO_COLUMNS, 24 + _ROW_MM * len(tasks) + 4 * -(-len(models) // 3))
        ax = figure.subplots()
        label = "published models"
        for place, task in enumerate(tasks):
            known = results.loc[results["task"] == task, "published_as"].iloc[0]
            marks = published.loc[published["task"] == known, "mean"]
            ax.plot(marks, np.full(len(marks), place), "|", color=GREY, label=label if len(marks) else None)
            label = label if not len(marks) else "_"
        step = min(0.25, 0.7 / len(models))
        for number, model in enumerate(models):
            rows = results[results["model"] == model]
            y = [tasks.index(task) + step * (number - (len(models) - 1) / 2) for task in rows["task"]]
            value = 100 * rows["value"].to_numpy()
            # the mean over folds may lie a hair outside an interval of draws of few sequences
            error = np.maximum([value - 100 * rows["lo"].to_numpy(), 100 * rows["hi"].to_numpy() - value], 0)
            look = {"color": _COLOURS[number % 6], "marker": _MARKERS[number % 6], "label": model}
            ax.errorbar(value, y, xerr=error, linestyle="none", markersize=3, **look)
        ax.set_yticks(range(len(tasks)), tasks)
        ax.set_ylim(len(tasks) - 0.5, -0.5)
        ax.set_xlabel("MCC, accuracy or macro F1, x100")
        figure.legend(loc="outside lower left", ncols=3)
    return figure
