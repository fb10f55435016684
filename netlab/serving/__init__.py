"""What HTTP servers of a lab stand on: failures as Statuses, answers without end, processes over
channels."""
