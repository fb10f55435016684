"""The lab's objects: revisioned, watched, kept across restarts; and the rules for changing them."""
