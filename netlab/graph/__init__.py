"""Pictures: topology, a Service's rules, a packet's journey, as graphs that others lay out."""
