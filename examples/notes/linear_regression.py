"""A straight line through three points, step by step."""

import narae as torch
import narae.nn as nn
import narae.nn.functional as F
import narae.optim as optim

torch.manual_seed(100)

# Hours of study and points in the test: y = 2x.
x_train = torch.FloatTensor([[1], [2], [3]])
y_train = torch.FloatTensor([[2], [4], [6]])

model = nn.Linear(1, 1)
print(list(model.parameters()))

optimizer = optim.SGD(model.parameters(), lr=0.01)

nb_epochs = 2000
for epoch in range(nb_epochs + 1):
    prediction = model(x_train)
    cost = F.mse_loss(prediction, y_train)

    optimizer.zero_grad()
    cost.backward()
    optimizer.step()

    if epoch % 100 == 0:
        print(f"Epoch {epoch:4d}/{nb_epochs} Cost: {cost.item():.6f}")

new_var = torch.FloatTensor([[4.0]])
print("after training, the prediction for 4:", model(new_var))
print(list(model.parameters()))
