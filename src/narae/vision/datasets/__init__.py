"""Data sets of pictures, under torchvision's names.

import narae.vision.datasets as dsets

train = dsets.MNIST(root="MNIST_data/", train=True, transform=transforms.ToTensor())
"""

from narae.vision.arrays import load_mnist

from .cifar import CIFAR10, CIFAR100
from .fake import FakeData
from .folder import DatasetFolder, ImageFolder
from .mnist import EMNIST, KMNIST, MNIST, Digits, FashionMNIST
from .pictures import LabelledPictures, StandardTransform, VisionDataset

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "EMNIST",
    "KMNIST",
    "MNIST",
    "DatasetFolder",
    "Digits",
    "FakeData",
    "FashionMNIST",
    "ImageFolder",
    "LabelledPictures",
    "StandardTransform",
    "VisionDataset",
    "load_mnist",
]
