"""The verbs of maskcls synth."""

from maskcls.verbs.help import VerbApp
from maskcls.verbs.synth import generators, samples

app = VerbApp(no_args_is_help=True, help="Make examples of rare classes, one generator per fold, and compare them.")
app.add_typer(generators.app)
app.add_typer(samples.app)
