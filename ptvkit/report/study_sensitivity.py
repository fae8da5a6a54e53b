"""What decides the results of a study: a sentence, and charts of indices or of one change at a time."""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ptvkit.analysis.sensitivity import Index, Swing
from ptvkit.report.style import INK, SERIES, dress_chart, entitle, legend, new_figure
from ptvkit.report.words import number, words_of
from ptvkit.work.sensitivity import WIDE, Sensitivity, what_decides

SHOWN: Final = ("contained", "dmin_95", "d98_95", "miss90_mm", "ptv_cc", "organ_cc")
"""Outputs that are drawn, in this order."""
LEAST_SHARE: Final = 0.03
"""Below this share of the variance a parameter does not matter."""
MOST_SHOWN: Final = 4


def decides_in_words(found: Sensitivity) -> list[str]:
    """What decides, how sure that is, and how many points would make it surer."""
    if found.swings:
        return [_of_swings([one for one in found.swings if one.output == output]) for output in _shown(found)[:2]]
    texts = [_of_indices(what_decides(found, output)) for output in _shown(found)[:2]]
    output = _shown(found)[0]
    texts.append(
        "A parameter's first number is the share of the variance that would go if it were known (first-order Sobol"
        " index), with its 95 % bootstrap interval. All cells see the same simulated patients; at most"
        f" {found.noise.get(output, 0.0):.1%} of the variance of {_named(output)} is noise of the simulation."
    )
    if found.points_needed is not None:
        texts.append(
            f"The widest interval of a total index of containment is above {WIDE:g}: about {found.points_needed} base"
            " points would make it as narrow."
        )
    if found.between_cases:
        share = found.between_cases[output]
        texts.append(
            f"Cases differ: {share:.0%} of the variance of {_named(output)} lies between the cases' means, and"
            f" {1 - share:.0%} between parameters. "
            + ("Selecting patients says more than refining the margin." if share > 0.5 else "The margin says more.")
        )
    return texts


def sensitivity_figure(found: Sensitivity) -> Figure:
    """Bars of all shown outputs, a panel each."""
    outputs = _shown(found)[:MOST_SHOWN]
    count = len({one.parameter for one in found.indices} | {one.parameter for one in found.swings})
    figure = new_figure(11.0, 0.9 + len(outputs) * (0.75 + 0.42 * count))
    panels = figure.subplots(len(outputs), 1, squeeze=False)[:, 0]
    for axis, output in zip(panels, outputs, strict=True):
        if found.swings:
            _draw_swings(axis, [one for one in found.swings if one.output == output])
        else:
            _draw_indices(axis, what_decides(found, output))
    entitle(figure, "What decides")
    figure.subplots_adjust(left=0.36, right=0.97, top=1 - 0.75 / figure.get_figheight(), bottom=0.07, hspace=0.75)
    return figure


def _shown(found: Sensitivity) -> list[str]:
    """Outputs of the figures, those that vary."""
    varying = {one.output for one in found.indices if one.total > 0} | {
        one.output for one in found.swings if one.width > 0
    }
    return [output for output in SHOWN if output in varying] or ["contained"]


def _named(output: str) -> str:
    return words_of(output).partition(" (")[0]


def _of_indices(indices: Sequence[Index]) -> str:
    strong = [one for one in indices if one.total_high > LEAST_SHARE and one.total > LEAST_SHARE]
    if not strong:
        return f"No parameter changes {_named(indices[0].output)}."
    parts = [
        f"{words_of(one.parameter)} ({one.first:.0%} of the variance, {one.first_low:.0%} to {one.first_high:.0%})"
        for one in strong
    ]
    weak = [words_of(one.parameter) for one in indices if one not in strong]
    text = f"What decides {_named(indices[0].output)} is {', then '.join(parts)}"
    return f"{text}; {' and '.join(weak)} {'does' if len(weak) == 1 else 'do'} not matter here." if weak else f"{text}."


def _of_swings(swings: Sequence[Swing]) -> str:
    if not swings or swings[0].width == 0:
        return "No parameter changes the results."
    one = swings[0]
    return (
        f"{_named(one.output)[0].upper()}{_named(one.output)[1:]} changes most with {words_of(one.parameter)}:"
        f" {number(one.at_low)} at {number(one.low_value)}, {number(one.base)} at the base, {number(one.at_high)} at"
        f" {number(one.high_value)}."
    )


def _draw_indices(axis: Axes, indices: Sequence[Index]) -> None:
    rows = list(range(len(indices)))[::-1]
    for offset, name, colour in ((0.2, "first", SERIES[0]), (-0.2, "total", SERIES[1])):
        values = [getattr(one, name) for one in indices]
        spread = [
            [value - getattr(one, f"{name}_low") for value, one in zip(values, indices, strict=True)],
            [getattr(one, f"{name}_high") - value for value, one in zip(values, indices, strict=True)],
        ]
        label = "alone (first order)" if name == "first" else "with all interactions (total)"
        axis.barh(
            [row + offset for row in rows],
            values,
            height=0.36,
            xerr=spread,
            color=colour,
            alpha=0.6,
            ecolor=INK,
            label=label,
        )
    axis.set_yticks(rows, [words_of(one.parameter) for one in indices])
    dress_chart(axis, _named(indices[0].output), "share of the variance", "")
    legend(axis, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)


def _draw_swings(axis: Axes, swings: Sequence[Swing]) -> None:
    rows = list(range(len(swings)))[::-1]
    for name, colour in (("low", SERIES[1]), ("high", SERIES[0])):
        widths = [getattr(one, f"at_{name}") - one.base for one in swings]
        axis.barh(
            rows, widths, left=[one.base for one in swings], height=0.6, color=colour, label=f"at its {name} value"
        )
    labels = [f"{words_of(one.parameter)}: {number(one.low_value)} to {number(one.high_value)}" for one in swings]
    axis.set_yticks(rows, labels)
    axis.axvline(swings[0].base, color=INK, linewidth=0.8)
    dress_chart(axis, _named(swings[0].output), words_of(swings[0].output), "")
    legend(axis, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
