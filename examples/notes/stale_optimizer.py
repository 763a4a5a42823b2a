"""An accident: one letter too many, and the loop steps the optimizer of an older model.

Nothing is learned. PyTorch says nothing; Narae warns.
"""

import narae as torch
import narae.nn as nn
import narae.nn.functional as F
import narae.optim as optim

torch.manual_seed(100)

x_train = torch.FloatTensor([[73, 80, 75], [93, 88, 93], [89, 91, 90], [96, 98, 100], [73, 66, 70]])
y_train = torch.FloatTensor([[152], [185], [180], [196], [142]])

older_model = nn.Linear(3, 1)
optimizer = optim.SGD(older_model.parameters(), lr=1e-5)

torch.manual_seed(100)
torch.rand(896)  # what the cells above had drawn by then

model = nn.Linear(3, 1)
potimizer = optim.SGD(model.parameters(), lr=1e-5)  # a typing mistake

nb_epochs = 20
for epoch in range(nb_epochs + 1):
    prediction = model(x_train)
    cost = F.mse_loss(prediction, y_train)

    optimizer.zero_grad()
    cost.backward()
    optimizer.step()

    if epoch % 10 == 0:
        print(f"Epoch {epoch:4d}/{nb_epochs} Cost: {cost.item():.6f}")

print("prediction for 73, 80, 75:", model(torch.FloatTensor([[73, 80, 75]])))
