"""MNIST for programs that are written from scratch: `from dataset.mnist import load_mnist`.

The import works wherever the folder above this one is on the path, as after
`sys.path.append(os.pardir)` in a program beside this folder (C14).
"""

from narae.vision.datasets import load_mnist

__all__ = ["load_mnist"]
