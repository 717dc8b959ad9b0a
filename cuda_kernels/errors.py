"""Errors of the GPU's side of the kernels."""


class GpuError(Exception):
    """There is no GPU to compute on, or a kernel cannot be compiled or launched there.

    Message form: ``where: what must hold, got what.`` and then what to do.
    """
