"""Three quiz scores predict the final score."""

import narae as torch
import narae.nn as nn
import narae.nn.functional as F
import narae.optim as optim

torch.manual_seed(100)

x_train = torch.FloatTensor([[73, 80, 75], [93, 88, 93], [89, 91, 90], [96, 98, 100], [73, 66, 70]])
y_train = torch.FloatTensor([[152], [185], [180], [196], [142]])

model = nn.Linear(3, 1)
optimizer = optim.SGD(model.parameters(), lr=1e-5)

nb_epochs = 20
for epoch in range(nb_epochs + 1):
    prediction = model(x_train)
    cost = F.mse_loss(prediction, y_train)

    optimizer.zero_grad()
    cost.backward()
    optimizer.step()

    print(f"Epoch {epoch:4d}/{nb_epochs} Cost: {cost.item():.6f}")

print("prediction for 73, 80, 75:", model(torch.FloatTensor([[73, 80, 75]])))
