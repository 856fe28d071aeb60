"""Training: the loop, checkpoints and ready-made recipes."""

from .checkpoint import load_checkpoint as load_checkpoint, save_checkpoint as save_checkpoint
from .listen import Heard as Heard, listen as listen
from .loop import (
    TrainState as TrainState,
    init_state as init_state,
    make_epoch as make_epoch,
    run_epochs as run_epochs,
)
from .robustness import (
    MismatchSweep as MismatchSweep,
    adversarial_loss as adversarial_loss,
    attack as attack,
    kl_divergence as kl_divergence,
    mismatch_sweep as mismatch_sweep,
)
