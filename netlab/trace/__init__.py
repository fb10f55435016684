"""One packet through the lab: what the kernel did with it, and what its rules should do.

`passages` makes the observed story from the kernel's events, `session` is where a packet is sent
under open instruments; neither knows the simulator. `predicted` tells the same from the rules
alone, `misses` why a chain's other rules did not match, `agreement` holds the two together.
"""
