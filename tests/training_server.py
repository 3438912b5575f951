"""What the processes of training tests would each take seconds to do, done once before they are forked."""

import torch
import torch._dynamo  # what making an optimiser imports

from ldarnet.config import PRESETS
from ldarnet.model import LDARNet
from ldarnet.train import loop  # noqa: F401

from . import test_train_run_folder  # noqa: F401 - its processes come from the same server

threads = torch.get_num_threads()
torch.set_num_threads(1)  # threads do not outlive a fork
with torch.no_grad():  # nor does what computes gradients
    LDARNet(PRESETS["ldarnet-nano"])(torch.zeros(1, 64, dtype=torch.long))  # loads compiled kernels
torch.set_num_threads(threads)
