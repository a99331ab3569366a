"""One kit for every figure: drawings, axes, line charts, heat maps."""
