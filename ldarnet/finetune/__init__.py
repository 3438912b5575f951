"""Fine-tuning: a linear head on the mean of a model's last hidden states, on a trained or a fixed body.

    fitted = fit(model, train, valid, FineTuneSettings(mode="full"), folder)   # the model given stays as it is
    scores = predict(fitted, test)                # float32 [n, classes], see `Head.scores`
    metrics(test.labels, scores, "classification")  # over all predictions at once

With a fixed body the states can be shared by many fits:

    states = pooled_states(model, examples, settings)          # float32 [n, width]
    head = fit_head(States(states[a], labels[a]), States(states[b], labels[b]), settings).head
    head.scores_of(states[c])
"""

from ldarnet.finetune.examples import Cropped, Examples, check_examples, make_examples
from ldarnet.finetune.few_shot import FewShot, few_shot
from ldarnet.finetune.fit import Fitted, fit
from ldarnet.finetune.head import Head
from ldarnet.finetune.metrics import metrics
from ldarnet.finetune.predict import pooled_states, predict
from ldarnet.finetune.probe import FittedHead, States, fit_head
from ldarnet.finetune.settings import FineTuneSettings

__all__ = [
    "Cropped",
    "Examples",
    "FewShot",
    "FineTuneSettings",
    "Fitted",
    "FittedHead",
    "Head",
    "States",
    "check_examples",
    "few_shot",
    "fit",
    "fit_head",
    "make_examples",
    "metrics",
    "pooled_states",
    "predict",
]
