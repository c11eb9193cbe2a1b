"""The plugin that Hydra discovers: registers ddlab's schema and its Sweeper, which hands over to the commands plan and sweep."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf

from ddlab.compose.schema import offer, register
from ddlab.errors import ConfigError

# A plain mapping: Hydra executes plugin modules before they are importable, which a dataclass with lazy annotations is not.
SWEEPER = {"_target_": "hydra_plugins.ddlab_sweeper.DdlabSweeper", "action": "sweep", "command": "", "removed": [], "inner": []}
offer("ddlab", SWEEPER, group="hydra/sweeper")
register()


class DdlabSweeper(Sweeper):
    """Composes the sweep, packs its trials, and launches one job per pack."""

    def __init__(self, action: str, command: str, removed: Sequence[str], inner: Sequence[str]):
        if action not in ("plan", "sweep"):
            raise ConfigError(f"hydra.sweeper.action={action}: must be plan or sweep")
        self._action, self._command, self._removed = action, command, removed
        self._inner = inner

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        if config.hydra.job.chdir:
            raise ConfigError(
                "hydra.job.chdir=true: must be false; packs run where the command does, as paths such as out and data.path"
                " are relative to it"
            )
        try:
            self.launcher = Plugins.instance().instantiate_launcher(
                hydra_context=hydra_context, task_function=task_function, config=config
            )
        except (RuntimeError, ImportError) as error:
            text = " ".join(str(error).split())
            raise ConfigError(
                f"hydra.launcher: must be one of Hydra's launchers, such as hydra/launcher=joblib ({text})"
            ) from error

    def sweep(self, arguments: list[str]) -> None:
        from ddlab.commands.plan import show_plan
        from ddlab.commands.sweep import train_sweep
        from ddlab.compose.removal import remove
        from ddlab.compose.sweep import Composer
        from ddlab.config.catalog import config_groups

        assert self.hydra_context is not None
        assert self.config is not None
        assert self.launcher is not None
        loader, config, launcher = self.hydra_context.config_loader, self.config, self.launcher
        hydra_overrides = OmegaConf.to_container(config.hydra.overrides.hydra)
        assert isinstance(hydra_overrides, list)
        name = config.hydra.job.config_name

        def compose(overrides: list[str]) -> DictConfig:
            composed = loader.load_configuration(name, [*hydra_overrides, *overrides], RunMode.RUN)
            for key in self._removed:
                remove(composed, key)
            return composed

        sources = [source.path for source in config.hydra.runtime.config_sources if source.schema == "file"]
        composer = Composer(compose, config_groups(map(Path, sources)))
        overrides = [*arguments, *self._inner]
        if self._action == "plan":
            show_plan(name, composer, overrides)
        else:
            train_sweep(name, composer, overrides, self._command, partial(launcher.launch, initial_job_idx=0))
