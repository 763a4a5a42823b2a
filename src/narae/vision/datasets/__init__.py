"""Data sets of pictures, under torchvision's names.

import narae.vision.datasets as dsets

train = dsets.MNIST(root="MNIST_data/", train=True, transform=transforms.ToTensor())
"""

from narae.vision.arrays import load_mnist

from .camvid import CAMVID_CLASSES, CamVid
from .cifar import CIFAR10, CIFAR100
from .coco import CocoDetection
from .detection import Cached, PadBoxes, collate_samples, unpad_boxes
from .fake import FakeData
from .folder import DatasetFolder, ImageFolder
from .mask_folder import MaskFolder
from .mnist import EMNIST, KMNIST, MNIST, Digits, FashionMNIST
from .mnist_detection import MnistDetection
from .pictures import LabelledPictures, StandardTransform, VisionDataset
from .voc import BCCD, VOCDetection

__all__ = [
    "BCCD",
    "CAMVID_CLASSES",
    "CIFAR10",
    "CIFAR100",
    "EMNIST",
    "KMNIST",
    "MNIST",
    "Cached",
    "CamVid",
    "CocoDetection",
    "DatasetFolder",
    "Digits",
    "FakeData",
    "FashionMNIST",
    "ImageFolder",
    "LabelledPictures",
    "MaskFolder",
    "MnistDetection",
    "PadBoxes",
    "StandardTransform",
    "VOCDetection",
    "VisionDataset",
    "collate_samples",
    "load_mnist",
    "unpad_boxes",
]
