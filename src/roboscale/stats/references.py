"""Where each method comes from: a sentence for a paper and its BibTeX, found by the words that results carry.

Every `Estimate` and `Verdict` names its method; `cite` turns those names into text. A method that is not known here
is returned as such, never dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["RECIPES", "Citation", "cite"]


@dataclass(frozen=True, slots=True)
class Citation:
    """A method as a sentence, and the keys of `BIBTEX` that it cites; none for what every textbook has."""

    sentence: str
    keys: tuple[str, ...]


def _said(sentence: str, *keys: str) -> Citation:
    return Citation(sentence, keys)


RECIPES: tuple[tuple[str, Citation], ...] = (
    (
        "mean of .*training runs",
        _said("Rates of recipes are means over training runs, with Student's interval"),
    ),
    ("difference of mean scores|mean over tasks", _said("Means and their differences have normal intervals")),
    (
        "Clopper-Pearson",
        _said(
            "Success rates have Clopper-Pearson intervals, which cover the true rate with at least the stated "
            "probability",
            "clopper1934",
        ),
    ),
    ("Wilson", _said("Rates are shown with Wilson's score interval", "wilson1927")),
    ("Jeffreys", _said("Rates have Jeffreys intervals", "brown2001")),
    ("Laplace", _said("Rates have equal-tailed posterior intervals under a uniform prior", "brown2001")),
    (
        "confidence sequence, beta mixture",
        _said(
            "Success rates have confidence sequences, which hold at all sample sizes at once",
            "robbins1970",
            "howard2021",
        ),
    ),
    (
        "by betting|hedged betting|Waudby-Smith",
        _said("Means of bounded scores and differences have betting confidence sequences", "waudbysmith2024"),
    ),
    (
        "best arm with a margin",
        _said(
            "An arm is named once no other can be more than the margin above it, all pairs held at once", "evendar2006"
        ),
    ),
    (
        "Mainland and Gart",
        _said(
            "The crossover is tested exactly, with any advantage of being first that both arms share taken out",
            "gart1969",
        ),
    ),
    ("Cohen's kappa", _said("The agreement of two scorers is Cohen's kappa, with a posterior interval", "cohen1960")),
    ("Newcombe", _said("Differences of independent rates have Newcombe's hybrid score interval", "newcombe1998")),
    ("Tango", _said("Differences of paired rates have Tango's score interval", "tango1998")),
    (
        "sequential exact unconditional",
        _said(
            "Independent trials were compared after every trial by a sequential exact unconditional test with "
            "Lan-DeMets spending",
            "barnard1947",
            "lan1983",
        ),
    ),
    (
        "(?<!sequential )exact unconditional",
        _said(
            "Independent trials were compared by the two-sided exact unconditional test, ordered by the pooled z "
            "statistic",
            "barnard1947",
            "suissa1985",
        ),
    ),
    (
        "mid-p",
        _said("Large independent samples were compared by the conditional exact test with mid-p", "lancaster1961"),
    ),
    (
        "Mantel|Cochran",
        _said(
            "Claims over several tasks are stratified by task with the exact Cochran-Mantel-Haenszel test",
            "cochran1954",
            "mantel1959",
            "mehta1985",
        ),
    ),
    ("Yan, Su", _said("Differences over tasks have stratified Newcombe intervals", "yan2010")),
    ("interaction", _said("Whether tasks differ alike was tested by Zelen's exact test", "zelen1971")),
    ("training runs", _said("Recipes were compared by the means of their training runs", "welch1947")),
    ("Welch", _said("Differences of means have Welch's test or interval", "welch1947")),
    (
        "sequential exact paired|McNemar walk",
        _said(
            "Policies were compared on the same cases after every case by a sequential exact paired test with "
            "Lan-DeMets spending",
            "mcnemar1947",
            "lan1983",
        ),
    ),
    (
        "(?<!sequential )exact paired test|exact McNemar",
        _said("Policies were compared on the same cases by the exact paired test", "mcnemar1947"),
    ),
    ("signed.rank|Wilcoxon", _said("Paired scores were compared by the signed-rank test", "wilcoxon1945")),
    (
        "permut|Pitman|randomi[sz]ation|sign-flip",
        _said("Scores were compared by permutation or sign-flip tests", "pitman1937"),
    ),
    (
        "e-process|Ville",
        _said("Evidence was accumulated by an e-process, valid at any time one looks", "ville1939"),
    ),
    ("e-values?", _said("Pairwise evidence is in e-values", "vovk2021")),
    ("Turner|SAVI", _said("Independent arms were compared by an anytime-valid e-process", "turner2023")),
    ("Holm", _said("The family-wise error over all comparisons was controlled by Holm's procedure", "holm1979")),
    (
        "Shaffer",
        _said("The family-wise error over all pairs was controlled by Shaffer's procedure", "shaffer1986"),
    ),
    ("Bonferroni", _said("The family-wise error was controlled by Bonferroni's correction", "dunn1961")),
    (
        "Student|\\bt test\\b",
        _said("Means over policies or training runs have Student's interval or test", "student1908"),
    ),
    ("Pearson, Fisher z", _said("Pearson's correlation over policies has a Fisher-z interval", "fisher1921")),
    (
        "Spearman, Fisher z",
        _said("Spearman's correlation has a Fisher-z interval with Bonett and Wright's variance", "bonett2000"),
    ),
    ("MMRV", _said("Wrong orders are weighed by the mean maximum rank violation (MMRV)", "li2024simpler")),
    (
        "bootstrap|resampling",
        _said("Further intervals come from resampling", "efron1979"),
    ),
    (
        "Bradley-Terry",
        _said("Strengths come from a Bradley-Terry model of pairwise comparisons", "bradley1952"),
    ),
    ("Davidson", _said("Ties follow Davidson's model", "davidson1970")),
    ("rank sets|Mogstad", _said("Ranks are given as simultaneous rank sets", "mogstad2024")),
    ("letters", _said("Policies that share a letter were not shown to differ", "piepho2004")),
    (
        "PPI\\+\\+|PPI|prediction-powered",
        _said(
            "Real and simulated trials were combined by prediction-powered inference",
            "angelopoulos2023",
            "angelopoulos2023pp",
        ),
    ),
    (
        "control variate",
        _said("Simulated trials served as a control variate of the real ones", "lavenberg1981"),
    ),
    ("intraclass", _said("Trials of one case are related by an intraclass correlation", "donner1986")),
    (
        "power law and logistic",
        _said(
            "Success against the amount of data follows power and logistic laws with a floor, averaged by their "
            "evidence",
            "hoeting1999",
        ),
    ),
    (
        "effective data",
        _said(
            "Several sources of data add up to one effective amount, fitted by an ensemble sampler",
            "hernandez2021",
            "goodman2010",
        ),
    ),
    (
        "cover parts of the scenes",
        _said("Sources of data that cover parts of the scenes were weighed by an ensemble sampler", "goodman2010"),
    ),
    ("bought by the budget", _said("Sources were ranked by the success that the budget buys", "raiffa1961")),
    ("trend", _said("Whether success rises with data was tested by the trend in proportions", "armitage1955")),
    (
        "posterior predictive",
        _said("The fit was checked against its own points by posterior predictive simulation", "gelman1996"),
    ),
    (
        "normal approximation",
        _said("Numbers of trials beyond 300 are normal approximations", "fleiss2003", "connor1987"),
    ),
    ("knowledge gradient", _said("The next trials were chosen by a knowledge gradient", "frazier2008")),
    ("D-optimal", _said("The next trials were chosen by D-optimality", "glickman2005")),
)
"""Pattern in the name of a method -> what to write of it."""


def cite(methods: Iterable[str]) -> tuple[list[Citation], list[str]]:
    """What to write of these methods, each once in the order of `RECIPES`, and those that nothing is known of.

    >>> known, unknown = cite(["Clopper-Pearson (Biometrika 1934)", "a method of our own"])
    >>> [c.keys for c in known], unknown
    ([('clopper1934',)], ['a method of our own'])
    """
    names = list(dict.fromkeys(name for name in methods if name))
    known = [citation for pattern, citation in RECIPES if any(re.search(pattern, name) for name in names)]
    unknown = [name for name in names if not any(re.search(pattern, name) for pattern, _ in RECIPES)]
    return known, unknown
