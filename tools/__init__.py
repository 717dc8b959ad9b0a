"""Programs run from a checkout: quality, benchmarks, exporters."""
