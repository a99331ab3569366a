"""Model summaries: layers, shapes, work, memory and receptive fields, as tables, diagrams and figures."""
