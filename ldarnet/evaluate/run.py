"""An evaluation from its request: tasks are read, folds planned, models run, what cannot be run is written down."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ldarnet.evaluate.body import load_body
from ldarnet.evaluate.coordinates import Genomes, open_genomes
from ldarnet.evaluate.fold_run import NOT_IN_RECORD, FoldRun
from ldarnet.evaluate.folds import FoldPlan, plan_folds
from ldarnet.evaluate.grid import grid_of
from ldarnet.evaluate.locate import TaskData, has_files, read_task
from ldarnet.evaluate.store import Store, write_json
from ldarnet.evaluate.task_facts import write_task_facts
from ldarnet.evaluate.tasks import TASKS, Task, find_tasks
from ldarnet.finetune import FineTuneSettings, make_examples
from ldarnet.genome import Shard

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """What is asked for."""

    tasks: tuple[str, ...]
    """Names or suites; empty = all that have files."""
    models: dict[str, str]
    """Name -> source."""
    data: Path
    out: Path
    genomes: tuple[str, ...] = ()
    num_folds: int = 10
    num_seeds: int = 1
    grid: str = "none"
    settings: FineTuneSettings = field(default_factory=FineTuneSettings)
    max_bp: int | None = None
    """Sequences longer than this are cropped to their middle; None: the shortest training context of the models."""
    pretraining: tuple[str, str | None] | None = None
    """FASTA and BED of what models were trained on."""
    shard: Shard | None = None


class Outcome(NamedTuple):
    """What an evaluation came to."""

    num_folds: int
    """Fold files that are there now, of this share of the work; 0 where a share is empty, as there are more of them
    than tasks and models."""
    failures: list[str]


def run_evaluation(request: EvaluationRequest, *, say: Say) -> Outcome:
    """Run what is not there yet. Raises ValueError for a wrong request, and where nothing at all could be run."""
    tried = grid_of(request.grid, request.settings)
    tasks = tasks_with_files(request.tasks, request.data)
    # Every model is looked at before the first fold: a wrong name is told at once, and the shortest context is known.
    bodies = [load_body(source) for source in request.models.values()]
    for body in bodies:
        body.check_mode(request.settings.mode)
    num_seeds = request.num_seeds
    if request.settings.mode == "probe" and num_seeds > 1:
        say("note: nothing in a probe is random, so that all seeds give the same; one is run")
        num_seeds = 1
    store = Store(request.out)
    max_bp = request.max_bp or _max_bp(store, min(body.context_bp for body in bodies))
    store.check_settings(_settings_record(request, max_bp))
    units = [(task, name) for task in tasks for name in request.models]
    if request.shard is not None:
        units = units[request.shard.number - 1 :: request.shard.count]
    num_folds, failures = 0, list[str]()
    with open_genomes(list(request.genomes)) as genomes:
        prepare = lru_cache(maxsize=1)(lambda name: _prepare(TASKS[name], request, genomes, store, say))
        models = lru_cache(maxsize=2)(lambda source: load_body(source, request.settings.device))
        for task, name in units:
            failure = store.failure_file(task, name)
            try:
                data, plan = prepare(task.name)
                examples, num_cropped = make_examples(data.sequences, data.labels, max_bp)
                body = models(request.models[name])
                run = FoldRun(name, body, data, plan, examples, num_cropped, tried, store, say)
                for _ in run.run(num_seeds):
                    num_folds += 1
                failure.unlink(missing_ok=True)
            except ValueError as error:
                failures.append(str(error))
                say(f"not run: {task.name}, {name}: {error}")
                write_json(failure, {"task": task.name, "model": name, "reason": str(error)})
    if units and not num_folds:
        raise ValueError("nothing could be run:\n" + "\n".join(dict.fromkeys(failures)))
    return Outcome(num_folds, failures)


def _max_bp(store: Store, shortest_context_bp: int) -> int:
    """What sequences are cropped to: as the results in the folder were, where these models can read that much."""
    earlier = store.settings().get("max_bp")
    return earlier if isinstance(earlier, int) and earlier <= shortest_context_bp else shortest_context_bp


def tasks_with_files(names: tuple[str, ...], data: Path) -> list[Task]:
    """The tasks asked for (all of them for none) that have files; a name of two suites means the one that has files.

    Raises ValueError for an unknown name, for one without files, and where nothing is found.
    """
    found: dict[str, Task] = {}
    for name in names or ("",):
        meant = find_tasks([name]) if name else list(TASKS.values())
        here = [task for task in meant if has_files(task, data)]
        if not here:
            expected = f"the files of {name}" if name else "the files of a task"
            raise ValueError(
                f"--data {data}: expected {expected}, found none. `ldarnet evaluate --list` says where they lie"
            )
        found |= {task.name: task for task in here}
    return list(found.values())


def _prepare(
    task: Task, request: EvaluationRequest, genomes: Genomes, store: Store, say: Say
) -> tuple[TaskData, FoldPlan]:
    data = read_task(task, request.data, genomes)
    plan = plan_folds(data, request.num_folds)
    store.check_folds(task, plan.sha256())  # before the facts are written that results are read with
    facts = write_task_facts(data, plan, store, request.pretraining)
    say(f"{task.name}: {', '.join(f'{name} {number:,}' for name, number in data.sizes().items())}; {plan.scheme}")
    for note in facts["notes"]:
        say(f"  {note}")
    return data, plan


def _settings_record(request: EvaluationRequest, max_bp: int) -> dict[str, Any]:
    """What every result of a folder must share; models, tasks and seeds may be added."""
    settings = {name: value for name, value in asdict(request.settings).items() if name not in NOT_IN_RECORD}
    settings["penalties"] = list(settings["penalties"])
    return {"fine_tuning": settings, "grid": request.grid, "num_folds": request.num_folds, "max_bp": max_bp}
