"""A convolutional network learns MNIST.

The data is found in MNIST_data/, in the folder NARAE_DATA or in the cache, or downloaded. Call it
with --epochs 1 --subset 2000 for a quick look.
"""

import argparse

import narae as torch
import narae.nn as nn
import narae.nn.init
import narae.optim as optim
import narae.vision.datasets as dsets
import narae.vision.transforms as transforms
from narae.utils.data import DataLoader, Subset

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=15)
parser.add_argument("--subset", type=int, help="train on so many pictures only")
arguments = parser.parse_args()

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(777)
if device == "cuda":
    torch.cuda.manual_seed_all(777)

learning_rate = 0.001
training_epochs = arguments.epochs
batch_size = 128

mnist_train = dsets.MNIST(
    root="MNIST_data/", train=True, transform=transforms.ToTensor(), download=True
)
mnist_test = dsets.MNIST(
    root="MNIST_data/", train=False, transform=transforms.ToTensor(), download=True
)
if arguments.subset:
    mnist_train = Subset(mnist_train, range(arguments.subset))

data_loader = DataLoader(dataset=mnist_train, batch_size=batch_size, shuffle=True, drop_last=True)


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        # (batch, 1, 28, 28) -> (batch, 32, 14, 14)
        self.layer1 = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=3, stride=1, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )
        # (batch, 32, 14, 14) -> (batch, 64, 7, 7)
        self.layer2 = nn.Sequential(
            nn.Conv2d(32, 64, kernel_size=3, stride=1, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )
        self.fc = nn.Linear(7 * 7 * 64, 10, bias=True)
        narae.nn.init.xavier_uniform_(self.fc.weight)

    def forward(self, x):
        out = self.layer1(x)
        out = self.layer2(out)
        out = out.view(out.size(0), -1)
        return self.fc(out)


model = CNN().to(device)
criterion = nn.CrossEntropyLoss().to(device)
optimizer = optim.Adam(model.parameters(), lr=learning_rate)
print("parameters:", sum(parameter.numel() for parameter in model.parameters()))

total_batch = len(data_loader)
print(f"number of batches: {total_batch}")

for epoch in range(training_epochs):
    avg_cost = 0
    for X, Y in data_loader:
        X = X.to(device)
        Y = Y.to(device)

        optimizer.zero_grad()
        hypothesis = model(X)
        cost = criterion(hypothesis, Y)
        cost.backward()
        optimizer.step()

        avg_cost += cost / total_batch

    print(f"[Epoch: {epoch + 1:>4}] cost = {avg_cost:>.9}")

with torch.no_grad():
    X_test = mnist_test.test_data.view(len(mnist_test), 1, 28, 28).float().to(device)
    Y_test = mnist_test.test_labels.to(device)

    for name, pictures in (("0..255", X_test), ("0..1", X_test / 255)):
        prediction = model(pictures)
        correct_prediction = torch.argmax(prediction, 1) == Y_test
        accuracy = correct_prediction.float().mean()
        print(f"accuracy on pictures in {name}: {accuracy.item()}")
