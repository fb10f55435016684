"""Server-side printing: the columns that `kubectl get` shows, one module a family of kinds."""
