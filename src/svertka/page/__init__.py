"""The model's page: the same for ``svertka serve`` and for the single file of ``svertka share``. No torch."""
