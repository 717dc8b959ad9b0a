"""Adapters of the families of networks: what each expects of its inputs and what its outputs say.

An adapter takes a loaded session and a family of the catalogue, binds the network's tensors by
position, shape and type, and offers one verb. It knows nothing of files, frames or threads.
"""
