"""One file a verb. A verb's module has `add_arguments(parser)` and `run(args) -> exit code`."""
