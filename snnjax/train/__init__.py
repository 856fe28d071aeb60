"""Training: recipes, the loop they run, checkpoints and run folders."""

from ._checkpoint import (
    Checkpoints as Checkpoints,
    load_checkpoint as load_checkpoint,
    save_checkpoint as save_checkpoint,
)
from ._fit import Data as Data, Trained as Trained
from ._front_end import (
    FrontEnd as FrontEnd,
    front_end_text as front_end_text,
    load_front_end as load_front_end,
    save_front_end as save_front_end,
)
from ._listen import Heard as Heard, listen as listen
from ._loader import (
    Loading as Loading,
    make_loader_step as make_loader_step,
    run_loader as run_loader,
    start_loading as start_loading,
)
from ._loop import (
    TrainState as TrainState,
    init_state as init_state,
    make_epoch as make_epoch,
    run_epochs as run_epochs,
)
from ._recipe import Recipe as Recipe
from ._robustness import (
    MismatchSweep as MismatchSweep,
    adversarial_loss as adversarial_loss,
    attack as attack,
    kl_divergence as kl_divergence,
    mismatch_sweep as mismatch_sweep,
)
from ._run import Run as Run
from ._settings import Settings as Settings
from ._sharding import Sharding as Sharding
from ._stages import Through as Through
from ._sweep import Outcome as Outcome, Sweep as Sweep, Swept as Swept, sweep as sweep
from ._sweep_folder import SweepFolder as SweepFolder
from ._target import Scores as Scores, Target as Target, right as right
