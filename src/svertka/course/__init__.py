"""The course's tasks: their list, starter files, checks of a solution in a process of its own, and what was passed."""
