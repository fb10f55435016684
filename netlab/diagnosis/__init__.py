"""Why a Service fails, in one line for each cause."""
