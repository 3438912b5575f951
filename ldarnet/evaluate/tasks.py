"""The tasks of three public suites: what they ask, how long their sequences are, and how many there should be."""

from dataclasses import dataclass, replace
from typing import Literal

Suite = Literal["nt", "gb", "gue"]
Metric = Literal["mcc", "accuracy", "macro_f1"]

SUITES: dict[str, str] = {
    "nt": "Nucleotide Transformer, 18 tasks (the first edition, which published tables use)",
    "gb": "Genomic Benchmarks, 9 tasks",
    "gue": "Genome Understanding Evaluation, 28 data sets",
}

_NT_CARD = "card of InstaDeepAI/nucleotide_transformer_downstream_tasks"
_GUE_PAPER = "DNABERT-2, arXiv:2306.15006, and the files"
_GB_FILES = "files of ML-Bioinfo-CEITEC/genomic_benchmarks@605d853"


@dataclass(frozen=True)
class Task:
    """One classification task."""

    name: str
    """Suite and name: nt/H3."""
    suite: Suite
    folder: str
    """Where its files lie below the folder of the suite."""
    about: str
    num_classes: int
    length_bp: int | None
    """Length of its sequences; None where they differ."""
    metric: Metric
    """What published tables report."""
    sizes: dict[str, int]
    """Sequences in each published split."""
    sizes_source: str
    classes: tuple[str, ...] = ()
    """Names of the classes 0, 1, ..., where files go by them."""
    assembly: str | None = None
    """What its coordinates are of."""
    published_as: str | None = None
    """The task of which tables give numbers on the same sequences, perhaps split otherwise."""

    @property
    def short_name(self) -> str:
        """The name without its suite."""
        return self.name.split("/", 1)[1]

    @property
    def splits(self) -> tuple[str, ...]:
        """The published splits."""
        return tuple(self.sizes)


def find_tasks(names: list[str]) -> list[Task]:
    """The tasks meant by names: nt/H3, a suite, or H3 for every suite that has it. ValueError for an unknown one."""
    found: dict[str, Task] = {}
    for name in names:
        matches = [each for each in TASKS.values() if name in (each.name, each.short_name, each.suite)]
        if not matches:
            raise ValueError(f"no task {name!r}: expected a suite ({', '.join(SUITES)}) or one of {', '.join(TASKS)}")
        found |= {each.name: each for each in matches}
    return list(found.values())


def _nt(folder: str, about: str, num_classes: int, length_bp: int, train: int, test: int) -> Task:
    name = f"nt/{folder}"
    sizes = {"train": train, "test": test}
    return Task(name, "nt", folder, about, num_classes, length_bp, "mcc", sizes, _NT_CARD, published_as=name)


def _gb(
    folder: str,
    about: str,
    classes: tuple[str, ...],
    length_bp: int | None,
    train: int,
    test: int,
    *,
    assembly: str = "GRCh38",
) -> Task:
    name, sizes = f"gb/{folder}", {"train": train, "test": test}
    task = Task(name, "gb", folder, about, len(classes), length_bp, "accuracy", sizes, _GB_FILES)
    return replace(task, classes=classes, assembly=assembly, published_as=name)


def _gue(
    folder: str,
    about: str,
    length_bp: int,
    sizes: tuple[int, int, int],
    *,
    name: str | None = None,
    num_classes: int = 2,
    metric: Metric = "mcc",
    published_as: str | None = None,
) -> Task:
    name = f"gue/{name or folder.rsplit('/', 1)[-1]}"
    split = dict(zip(("train", "dev", "test"), sizes, strict=True))
    return Task(
        name, "gue", folder, about, num_classes, length_bp, metric, split, _GUE_PAPER, published_as=published_as
    )


def _histone(mark: str, sizes: tuple[int, int, int]) -> Task:
    return _gue(f"EMP/{mark}", f"{mark} in yeast", 500, sizes, published_as=f"nt/{mark}")


_PAIR = ("negative", "positive")
_ALL = (
    _nt("H3", "H3 in yeast", 2, 500, 13468, 1497),
    _nt("H3K14ac", "H3K14ac in yeast", 2, 500, 29743, 3305),
    _nt("H3K36me3", "H3K36me3 in yeast", 2, 500, 31392, 3488),
    _nt("H3K4me1", "H3K4me1 in yeast", 2, 500, 28509, 3168),
    _nt("H3K4me2", "H3K4me2 in yeast", 2, 500, 27614, 3069),
    _nt("H3K4me3", "H3K4me3 in yeast", 2, 500, 33119, 3680),
    _nt("H3K79me3", "H3K79me3 in yeast", 2, 500, 25953, 2884),
    _nt("H3K9ac", "H3K9ac in yeast", 2, 500, 25003, 2779),
    _nt("H4", "H4 in yeast", 2, 500, 13140, 1461),
    _nt("H4ac", "H4ac in yeast", 2, 500, 30685, 3410),
    _nt("enhancers", "human enhancers", 2, 200, 14968, 400),
    _nt("enhancers_types", "human enhancers: none, weak, strong", 3, 200, 14968, 400),
    _nt("promoter_all", "human promoters", 2, 300, 53276, 5920),
    _nt("promoter_no_tata", "human promoters without TATA box", 2, 300, 47767, 5299),
    _nt("promoter_tata", "human promoters with TATA box", 2, 300, 5509, 621),
    _nt("splice_sites_acceptors", "splice acceptors", 2, 600, 19961, 2218),
    _nt("splice_sites_all", "splice donor, acceptor, neither", 3, 400, 27000, 3000),
    _nt("splice_sites_donors", "splice donors", 2, 600, 19775, 2198),
    _gb(
        "demo_coding_vs_intergenomic_seqs",
        "coding or intergenic",
        ("coding_seqs", "intergenomic_seqs"),
        200,
        75000,
        25000,
        assembly="Ensembl 97 transcripts and GRCh38",
    ),
    _gb("drosophila_enhancers_stark", "fly enhancers", _PAIR, None, 5184, 1730, assembly="BDGP6.28"),
    _gb("dummy_mouse_enhancers_ensembl", "mouse enhancers", _PAIR, None, 968, 242, assembly="GRCm38"),
    _gb("human_enhancers_cohn", "human enhancers", _PAIR, 500, 20843, 6948),
    _gb("human_enhancers_ensembl", "human enhancers", _PAIR, None, 123872, 30970),
    _gb("human_ensembl_regulatory", "enhancer, open, promoter", ("enhancer", "ocr", "promoter"), None, 231348, 57713),
    _gb("human_nontata_promoters", "human promoters without TATA box", _PAIR, 251, 27097, 9034),
    _gb("human_ocr_ensembl", "human open chromatin", _PAIR, None, 139804, 34952),
    _gb("demo_human_or_worm", "human or worm", ("human", "worm"), 200, 75000, 25000, assembly="GRCh38 and WBcel235"),
    _histone("H3", (11971, 1497, 1497)),
    _histone("H3K14ac", (26438, 3305, 3305)),
    _histone("H3K36me3", (27904, 3488, 3488)),
    _histone("H3K4me1", (25341, 3168, 3168)),
    _histone("H3K4me2", (24545, 3069, 3069)),
    _histone("H3K4me3", (29439, 3680, 3680)),
    _histone("H3K79me3", (23069, 2884, 2884)),
    _histone("H3K9ac", (22224, 2779, 2779)),
    _histone("H4", (11679, 1461, 1461)),
    _histone("H4ac", (27275, 3410, 3410)),
    *(
        _gue(f"prom/prom_{kind}_{part}", f"human {words} {end}", length_bp, sizes, published_as=known)
        for kind, words, length_bp in (("300", "promoters", 300), ("core", "core promoters", 70))
        for part, end, nt_part, sizes in (
            ("all", "of both kinds", "all", (47356, 5920, 5920)),
            ("notata", "without TATA box", "no_tata", (42452, 5307, 5307)),
            ("tata", "with TATA box", "tata", (4904, 613, 613)),
        )
        for known in (f"nt/promoter_{nt_part}" if kind == "300" else None,)
    ),
    _gue(
        "splice/reconstructed",
        "splice acceptor, donor, neither",
        400,
        (36496, 4562, 4562),
        name="splice",
        num_classes=3,
    ),
    *(
        _gue(f"tf/{number}", f"binding of a human factor, set {number}", 101, (train, 1000, 1000), name=f"tf_{number}")
        for number, train in enumerate((32378, 30672, 19000, 27294, 19000))
    ),
    *(
        _gue(f"mouse/{number}", f"binding of a mouse factor, set {number}", 101, sizes, name=f"mouse_{number}")
        for number, sizes in enumerate(
            ((6478, 810, 810), (53952, 6745, 6745), (2620, 328, 328), (1904, 239, 239), (15064, 1883, 1883))
        )
    ),
    _gue("virus/covid", "variant of SARS-CoV-2", 999, (77669, 7000, 7000), num_classes=9, metric="macro_f1"),
)

TASKS: dict[str, Task] = {task.name: task for task in _ALL}
"""Every task by its name."""
