"""What a network is made of: layers, shapes, work, memory, receptive fields; as tables, diagrams and figures."""
