"""Where each method comes from: a sentence for a paper and its BibTeX, found by the words that results carry.

Every `Estimate` and `Verdict` names its method; `cite` turns those names into text. A method that is not known here
is returned as such, never dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["BIBTEX", "RECIPES", "Citation", "cite"]


@dataclass(frozen=True, slots=True)
class Citation:
    """A method as a sentence, and the keys of `BIBTEX` that it cites; none for what every textbook has."""

    sentence: str
    keys: tuple[str, ...]


def _article(key: str, author: str, title: str, journal: str, year: int, more: str = "") -> tuple[str, str]:
    kind = "@misc" if journal.startswith("arXiv") else "@book" if journal.startswith("book: ") else "@article"
    where = {"@misc": "eprint", "@book": "publisher", "@article": "journal"}[kind]
    place = journal.removeprefix("book: ").removeprefix("arXiv ")
    lines = [f"  author = {{{author}}}", f"  title = {{{title}}}", f"  {where} = {{{place}}}", f"  year = {{{year}}}"]
    lines += [f"  {field.strip()}" for field in more.split(";") if field.strip()]
    return key, f"{kind}{{{key},\n" + ",\n".join(lines) + "\n}"


BIBTEX: dict[str, str] = dict(
    [
        _article(
            "clopper1934",
            "Clopper, C. J. and Pearson, E. S.",
            "The use of confidence or fiducial limits illustrated in the case of the binomial",
            "Biometrika",
            1934,
            "volume = {26}; pages = {404--413}",
        ),
        _article(
            "wilson1927",
            "Wilson, E. B.",
            "Probable inference, the law of succession, and statistical inference",
            "Journal of the American Statistical Association",
            1927,
            "volume = {22}; pages = {209--212}",
        ),
        _article(
            "brown2001",
            "Brown, L. D. and Cai, T. T. and DasGupta, A.",
            "Interval estimation for a binomial proportion",
            "Statistical Science",
            2001,
            "volume = {16}; pages = {101--133}",
        ),
        _article(
            "robbins1970",
            "Robbins, H.",
            "Statistical methods related to the law of the iterated logarithm",
            "The Annals of Mathematical Statistics",
            1970,
            "volume = {41}; pages = {1397--1409}",
        ),
        _article(
            "howard2021",
            "Howard, S. R. and Ramdas, A. and McAuliffe, J. and Sekhon, J.",
            "Time-uniform, nonparametric, nonasymptotic confidence sequences",
            "The Annals of Statistics",
            2021,
            "volume = {49}; pages = {1055--1080}",
        ),
        _article(
            "waudbysmith2024",
            "Waudby-Smith, I. and Ramdas, A.",
            "Estimating means of bounded random variables by betting",
            "Journal of the Royal Statistical Society Series B",
            2024,
            "volume = {86}; pages = {1--27}",
        ),
        _article(
            "newcombe1998",
            "Newcombe, R. G.",
            "Interval estimation for the difference between independent proportions: comparison of eleven methods",
            "Statistics in Medicine",
            1998,
            "volume = {17}; pages = {873--890}",
        ),
        _article(
            "tango1998",
            "Tango, T.",
            "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
            "Statistics in Medicine",
            1998,
            "volume = {17}; pages = {891--908}",
        ),
        _article(
            "barnard1947",
            "Barnard, G. A.",
            "Significance tests for 2 x 2 tables",
            "Biometrika",
            1947,
            "volume = {34}; pages = {123--138}",
        ),
        _article(
            "suissa1985",
            "Suissa, S. and Shuster, J. J.",
            "Exact unconditional sample sizes for the 2 x 2 binomial trial",
            "Journal of the Royal Statistical Society Series A",
            1985,
            "volume = {148}; pages = {317--327}",
        ),
        _article(
            "lancaster1961",
            "Lancaster, H. O.",
            "Significance tests in discrete distributions",
            "Journal of the American Statistical Association",
            1961,
            "volume = {56}; pages = {223--234}",
        ),
        _article(
            "mantel1959",
            "Mantel, N. and Haenszel, W.",
            "Statistical aspects of the analysis of data from retrospective studies of disease",
            "Journal of the National Cancer Institute",
            1959,
            "volume = {22}; pages = {719--748}",
        ),
        _article(
            "cochran1954",
            "Cochran, W. G.",
            "Some methods for strengthening the common $\\chi^2$ tests",
            "Biometrics",
            1954,
            "volume = {10}; pages = {417--451}",
        ),
        _article(
            "mcnemar1947",
            "McNemar, Q.",
            "Note on the sampling error of the difference between correlated proportions or percentages",
            "Psychometrika",
            1947,
            "volume = {12}; pages = {153--157}",
        ),
        _article(
            "wilcoxon1945",
            "Wilcoxon, F.",
            "Individual comparisons by ranking methods",
            "Biometrics Bulletin",
            1945,
            "volume = {1}; pages = {80--83}",
        ),
        _article(
            "pitman1937",
            "Pitman, E. J. G.",
            "Significance tests which may be applied to samples from any populations",
            "Supplement to the Journal of the Royal Statistical Society",
            1937,
            "volume = {4}; pages = {119--130}",
        ),
        _article(
            "holm1979",
            "Holm, S.",
            "A simple sequentially rejective multiple test procedure",
            "Scandinavian Journal of Statistics",
            1979,
            "volume = {6}; pages = {65--70}",
        ),
        _article(
            "shaffer1986",
            "Shaffer, J. P.",
            "Modified sequentially rejective multiple test procedures",
            "Journal of the American Statistical Association",
            1986,
            "volume = {81}; pages = {826--831}",
        ),
        _article(
            "dunn1961",
            "Dunn, O. J.",
            "Multiple comparisons among means",
            "Journal of the American Statistical Association",
            1961,
            "volume = {56}; pages = {52--64}",
        ),
        _article(
            "lan1983",
            "Lan, K. K. G. and DeMets, D. L.",
            "Discrete sequential boundaries for clinical trials",
            "Biometrika",
            1983,
            "volume = {70}; pages = {659--663}",
        ),
        _article(
            "ville1939",
            "Ville, J.",
            "{\\'E}tude critique de la notion de collectif",
            "book: Gauthier-Villars",
            1939,
        ),
        _article(
            "vovk2021",
            "Vovk, V. and Wang, R.",
            "E-values: calibration, combination and applications",
            "The Annals of Statistics",
            2021,
            "volume = {49}; pages = {1736--1754}",
        ),
        _article(
            "turner2023",
            'Turner, R. J. and Gr{\\"u}nwald, P. D.',
            "Exact anytime-valid confidence intervals for contingency tables and beyond",
            "Statistics \\& Probability Letters",
            2023,
            "volume = {198}; pages = {109835}",
        ),
        _article(
            "student1908",
            "Student",
            "The probable error of a mean",
            "Biometrika",
            1908,
            "volume = {6}; pages = {1--25}",
        ),
        _article(
            "fisher1921",
            "Fisher, R. A.",
            "On the probable error of a coefficient of correlation deduced from a small sample",
            "Metron",
            1921,
            "volume = {1}; pages = {3--32}",
        ),
        _article(
            "bonett2000",
            "Bonett, D. G. and Wright, T. A.",
            "Sample size requirements for estimating Pearson, Kendall and Spearman correlations",
            "Psychometrika",
            2000,
            "volume = {65}; pages = {23--28}",
        ),
        _article(
            "li2024simpler",
            "Li, X. and others",
            "Evaluating real-world robot manipulation policies in simulation",
            "arXiv 2405.05941",
            2024,
        ),
        _article(
            "efron1979",
            "Efron, B.",
            "Bootstrap methods: another look at the jackknife",
            "The Annals of Statistics",
            1979,
            "volume = {7}; pages = {1--26}",
        ),
        _article(
            "bradley1952",
            "Bradley, R. A. and Terry, M. E.",
            "Rank analysis of incomplete block designs: I. The method of paired comparisons",
            "Biometrika",
            1952,
            "volume = {39}; pages = {324--345}",
        ),
        _article(
            "davidson1970",
            "Davidson, R. R.",
            "On extending the Bradley-Terry model to accommodate ties in paired comparison experiments",
            "Journal of the American Statistical Association",
            1970,
            "volume = {65}; pages = {317--328}",
        ),
        _article(
            "mogstad2024",
            "Mogstad, M. and Romano, J. P. and Shaikh, A. M. and Wilhelm, D.",
            "Inference for ranks with applications to mobility across neighbourhoods and academic achievement across "
            "countries",
            "The Review of Economic Studies",
            2024,
            "volume = {91}; pages = {476--518}",
        ),
        _article(
            "piepho2004",
            "Piepho, H.-P.",
            "An algorithm for a letter-based representation of all-pairwise comparisons",
            "Journal of Computational and Graphical Statistics",
            2004,
            "volume = {13}; pages = {456--466}",
        ),
        _article(
            "angelopoulos2023",
            "Angelopoulos, A. N. and Bates, S. and Fannjiang, C. and Jordan, M. I. and Zrnic, T.",
            "Prediction-powered inference",
            "Science",
            2023,
            "volume = {382}; pages = {669--674}",
        ),
        _article(
            "angelopoulos2023pp",
            "Angelopoulos, A. N. and Duchi, J. C. and Zrnic, T.",
            "PPI++: efficient prediction-powered inference",
            "arXiv 2311.01453",
            2023,
        ),
        _article(
            "lavenberg1981",
            "Lavenberg, S. S. and Welch, P. D.",
            "A perspective on the use of control variables to increase the efficiency of Monte Carlo simulations",
            "Management Science",
            1981,
            "volume = {27}; pages = {322--335}",
        ),
        _article(
            "donner1986",
            "Donner, A.",
            "A review of inference procedures for the intraclass correlation coefficient in the one-way random "
            "effects model",
            "International Statistical Review",
            1986,
            "volume = {54}; pages = {67--82}",
        ),
        _article(
            "hoeting1999",
            "Hoeting, J. A. and Madigan, D. and Raftery, A. E. and Volinsky, C. T.",
            "Bayesian model averaging: a tutorial",
            "Statistical Science",
            1999,
            "volume = {14}; pages = {382--417}",
        ),
        _article(
            "hernandez2021",
            "Hernandez, D. and Kaplan, J. and Henighan, T. and McCandlish, S.",
            "Scaling laws for transfer",
            "arXiv 2102.01293",
            2021,
        ),
        _article(
            "goodman2010",
            "Goodman, J. and Weare, J.",
            "Ensemble samplers with affine invariance",
            "Communications in Applied Mathematics and Computational Science",
            2010,
            "volume = {5}; pages = {65--80}",
        ),
        _article(
            "raiffa1961",
            "Raiffa, H. and Schlaifer, R.",
            "Applied statistical decision theory",
            "book: Harvard University",
            1961,
        ),
        _article(
            "armitage1955",
            "Armitage, P.",
            "Tests for linear trends in proportions and frequencies",
            "Biometrics",
            1955,
            "volume = {11}; pages = {375--386}",
        ),
        _article(
            "gelman1996",
            "Gelman, A. and Meng, X.-L. and Stern, H.",
            "Posterior predictive assessment of model fitness via realized discrepancies",
            "Statistica Sinica",
            1996,
            "volume = {6}; pages = {733--807}",
        ),
        _article(
            "fleiss2003",
            "Fleiss, J. L. and Levin, B. and Paik, M. C.",
            "Statistical methods for rates and proportions",
            "book: Wiley",
            2003,
            "edition = {3}",
        ),
        _article(
            "connor1987",
            "Connor, R. J.",
            "Sample size for testing differences in proportions for the paired-sample design",
            "Biometrics",
            1987,
            "volume = {43}; pages = {207--211}",
        ),
        _article(
            "frazier2008",
            "Frazier, P. I. and Powell, W. B. and Dayanik, S.",
            "A knowledge-gradient policy for sequential information collection",
            "SIAM Journal on Control and Optimization",
            2008,
            "volume = {47}; pages = {2410--2439}",
        ),
        _article(
            "glickman2005",
            "Glickman, M. E. and Jensen, S. T.",
            "Adaptive paired comparison design",
            "Journal of Statistical Planning and Inference",
            2005,
            "volume = {127}; pages = {279--293}",
        ),
    ]
)
"""Key -> entry."""


def _said(sentence: str, *keys: str) -> Citation:
    return Citation(sentence, keys)


RECIPES: tuple[tuple[str, Citation], ...] = (
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
            "Claims over several tasks are stratified by task with the Cochran-Mantel-Haenszel test",
            "cochran1954",
            "mantel1959",
        ),
    ),
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
        "permut|Pitman|randomi[sz]ation",
        _said("Scores were compared by a permutation test", "pitman1937"),
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
