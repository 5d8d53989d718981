"""One folder a pipeline; `pipeline.py` has `build(settings)`, and `workers(settings, pool)`
where something has to run beside it."""
