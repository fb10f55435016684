"""The Kubernetes HTTP API over the registry: what kubectl, the CLI and client libraries talk to."""
