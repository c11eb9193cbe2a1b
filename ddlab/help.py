"""What `ddlab --help` and `ddlab COMMAND --help` print, and the flags of Hydra that `plan` and `sweep` take."""

# What Hydra's own command line shows of a config.
HYDRA_FLAGS = ("--cfg", "-c", "--package", "-p", "--resolve", "--info", "-i")

OVERVIEW = """\
ddlab: double descent and grokking sweeps, many trials as one compiled program

  ddlab list                          the sweeps: name, paper, what they show, trials, minutes
  ddlab plan NAME [key=value ...]     trials, packs, P/N range, FLOPs, memory, time; nothing is trained
  ddlab sweep NAME [key=value ...]    train what is not stored yet; results go to results/NAME
  ddlab status [NAME]                 how far a sweep is; without a name, what is stored
  ddlab report NAME [key=value ...]   figures, tables and a page from the stored metrics
  ddlab verify NAME                   the paper's claims, each checked against the stored metrics
  ddlab completion bash|zsh|fish      shell completion:  eval "$(ddlab completion bash)"

Try:
  ddlab sweep quickstart && ddlab report quickstart
  ddlab plan mnist1d_quick
  ddlab sweep mnist1d_quick model.width=8,16,32,64 'seed=range(5)' out=results/widths
  ddlab sweep mei2022_random_features && ddlab verify mei2022_random_features

`ddlab COMMAND --help` explains a command with examples.
"""

HELP = {
    "list": "usage: ddlab list\n\nLists the sweeps in ./sweeps and those that ddlab ships.\n",
    "plan": """\
usage: ddlab plan NAME|FILE.yaml [override ...]

Shows what the sweep is, stored or not: trials, packs (each compiled once), parameters P and P/N, FLOPs,
memory and a time estimate. Nothing is trained or stored.

  ddlab plan mnist1d_width
  ddlab plan mnist1d_width train.steps=2000 'seed=range(20)'
  ddlab plan mnist1d_width pack.max_trials=1        every trial alone: what packing saves
""",
    "sweep": """\
usage: ddlab sweep NAME|FILE.yaml [override ...]

Trains every trial of the sweep that is not stored yet and stores its curves in results/NAME. Stop it with Ctrl-C at any time:
the same command goes on where it stopped. Run it again with more values: only the new trials are trained.

Overrides (Hydra's grammar; quote parentheses for the shell):
  model.width=64                   pin a key, also one that the sweep varies
  model.width=8,16,32              an axis: one trial for each value
  'seed=range(5)'                  an axis 0, 1, 2, 3, 4
  'optimizer.weight_decay=choice(0, 0.1, 1)'
  model=quadratic_mlp              switch a config group (data, model, optimizer, train, measures)
  optimizer=ridge train=exact measures=exact
                                   closed forms, for models linear in their parameters (linear, random_features, legendre)
  optimizer=sgd,adam               a group as an axis;  'optimizer=glob(adam*)'
  model.num_params=1000,2000       wanted parameter counts; the width is solved for
  +measures.mine._target_=my.Cls   add a key
  out=DIR                          another results directory; `out: DIR` in the sweep's file does the same
  extend=true                      add trials to a store whose base config differs
  pack.max_trials=1                every trial alone
  pack.memory_gib=16               memory that one pack may take
  train.dtype=bfloat16             arithmetic of the networks (float32, float64; bfloat16: slower on a CPU)
  profile=true                     a JAX profile of a moment of each pack, in OUT/profile
  hydra/launcher=joblib            packs in parallel processes (pip install 'ddlab[joblib]'); submitit_slurm: on a cluster
                                   (pip install 'ddlab[slurm]')

  ddlab sweep quickstart
  ddlab sweep mnist1d_width train.steps=2000 out=results/short
  ddlab sweep modular_addition_fraction data.operation=multiply out=results/multiply
  ddlab sweep path/to/my.yaml
  ddlab sweep mnist1d_width --cfg job               the composed config

Your own ./sweeps/NAME.yaml and ./configs/GROUP/OPTION.yaml are found first.
Exit status: 0 done; 1 a pack failed (one line each; HYDRA_FULL_ERROR=1 shows the traceback); 2 a mistake in the command, or other
processes are at work on the sweep, which are named; 130 interrupted.
""",
    "status": """\
usage: ddlab status [NAME|DIR]

Without a name: lists what is stored below ./results, one line each: name, trials done of all, when the sweep was last run.
With one, shows how far a stored sweep is: trials by status, packs, and the command that goes on; and where the time went:
estimate and actual seconds, trial-steps per second, shares of compiling, steps, evaluation and host.
""",
    "report": """\
usage: ddlab report NAME|DIR [figures.KEY.OPTION=value ...]

Draws the sweep's figures from its stored metrics, without training: PNG, PDF and CSV of each, and an index.html, in
results/NAME/report. Overrides change a figure's options, or add one:

  ddlab report mnist1d_quick
  ddlab report results/reference/mnist1d_width
  ddlab report mnist1d_quick figures.double_descent.x=num_params          also: params_per_sample, model.width,
                                                                          params_per_sample_output
  ddlab report mnist1d_quick +figures.map.recipe=heatmap +figures.map.metric=test_loss

  ddlab report mnist1d_quick figures.double_descent.where.seed=1          some trials, by any of their columns

Recipes: double_descent, grokking, grokking_delay, heatmap, risk_curve (with the theory's line), bias_variance. An unknown
option's error lists the known ones. The page shows the claims, too (ddlab verify). A figure of trials that were never planned,
as where the command that ran pinned an axis, is named and left out.

Exit status: 0 all figures are drawn; 1 one could not be; 2 a mistake in the command, or none could be.
""",
    "verify": """\
usage: ddlab verify NAME|DIR

Holds each claim of the sweep against its stored metrics: measured value, interval over seeds, bound, source, verdict
(pass, fail, not enough data). Claims stand in the sweep's YAML; every number is computed from the metrics, none is typed in:

  claims:
    peak: {kind: peak_location, metric: test_error, x: params_per_sample, between: [0.8, 1.2], source: "Greydanus, Kobak 2024"}

  ddlab verify mnist1d_width
  ddlab verify results/reference/mnist1d_width

The source says where the claim is made; the bounds are ddlab's, the paper's numbers where it gives some.

Kinds, and what their number is:
  peak_location     x at which the mean of the metric over seeds peaks      x is a column of the trials, or step
  peak_height       the peak over the greater of the minima before and after it
  second_descent    fraction by which it falls beyond its peak
  classical_minimum x at which it is least before its peak
  last_over_least   the metric at the largest x over the least one: overtraining, with x: time
  monotone          largest relative step against a trend: falling, rising
  matches_theory    90 % quantile of the relative deviation from a closed form, theory: ridgeless, ridge, optimal_ridge,
                    misspecified, random_features, training_time
  value             the mean over seeds
  ordering          least ratio of medians from one selection of trials to the next, in an order
  ratio             median of the last selection over that of the first
  first_crossing    median step, on a log scale, from which the metric is at most a level

All take metric, between: [least, greatest] (null: open), source, and may take where: {column: value}, seeds: the fewest.
The kinds down to matches_theory take x and may take best_over: a column whose value of least mean is taken; monotone takes trend;
matches_theory theory; ordering and ratio order: [{column: value}, {column: value}]; first_crossing at_most, sustained.

A verdict goes by the measured number, the column "over seeds" shows how far that is known:
  1.1 to 1.4 (range of 3 seeds)   fewer than five seeds: the number of each seed's own trials, the lowest and the highest; that of
                                  all together (of the mean curve) may lie beside it
  1.1 to 1.4 (95 %)               from five seeds on: the interval when the seeds are drawn again, 2,000 times (BCa, widened as
                                  Student's t); seeds that form a grid are drawn each for itself
  64 (all resamples)              the number does not change: a peak's location is one of the x that were run
  1.1 to 1.4 (95 % of resamples)  the number lies beside (nearly) all that are drawn again: the middle 95 % of these
  none in 37 of 2,000 resamples   in so many the number does not exist, such as the location of a peak where there is none
The claims are those of the sweep when it was last run: `ddlab sweep NAME` takes new ones, and trains nothing that is stored.

Exit status: 0 no claim fails; 1 one fails; 2 a mistake in the command.
""",
    "completion": """\
usage: ddlab completion bash|zsh|fish

Prints the script that completes commands, sweeps, config keys and options in a shell. Put its line where the shell starts:

  eval "$(ddlab completion bash)"         in ~/.bashrc
  eval "$(ddlab completion zsh)"          in ~/.zshrc, after compinit
  ddlab completion fish | source          in ~/.config/fish/config.fish
""",
}
