"""Mini-batches: a data set of tensors, a data set of one's own, and loaders for both."""

import narae as torch
import narae.nn as nn
import narae.nn.functional as F
import narae.optim as optim
from narae.utils.data import DataLoader, Dataset, TensorDataset

torch.manual_seed(100)

x_train = torch.FloatTensor([[73, 80, 75], [93, 88, 93], [89, 91, 90], [96, 98, 100], [73, 66, 70]])
y_train = torch.FloatTensor([[152], [185], [180], [196], [142]])


class QuizDataset(Dataset):
    def __init__(self):
        self.x_data = x_train.tolist()
        self.y_data = y_train.tolist()

    def __len__(self):
        return len(self.x_data)

    def __getitem__(self, index):
        return torch.FloatTensor(self.x_data[index]), torch.FloatTensor(self.y_data[index])


for dataset in (TensorDataset(x_train, y_train), QuizDataset()):
    dataloader = DataLoader(dataset, batch_size=2, shuffle=True)
    print(type(dataset).__name__, "has", len(dataloader), "batches")

    model = nn.Linear(3, 1)
    optimizer = optim.SGD(model.parameters(), lr=1e-5)

    nb_epochs = 20
    for epoch in range(nb_epochs + 1):
        for batch_idx, samples in enumerate(dataloader):
            x_batch, y_batch = samples
            prediction = model(x_batch)
            cost = F.mse_loss(prediction, y_batch)

            optimizer.zero_grad()
            cost.backward()
            optimizer.step()

            if epoch % 10 == 0:
                place = f"Epoch {epoch:4d}/{nb_epochs} Batch {batch_idx + 1}/{len(dataloader)}"
                print(f"{place} of {len(x_batch)} Cost: {cost.item():.4f}")

    prediction = model(torch.FloatTensor([[73, 80, 75]]))
    print(f"prediction for 73, 80, 75: {prediction.item():.2f}")
