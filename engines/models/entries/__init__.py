"""The catalogue's data: families and models by what they do, one YAML file each."""
