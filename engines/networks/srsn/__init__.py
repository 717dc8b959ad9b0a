"""SR-SN: a light super-resolution network after EDSR, without batch normalisation."""
