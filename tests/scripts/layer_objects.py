# A network of layer objects, an optimizer and a loss, samples in rows.
import numpy as np
from keeping import keep

np.random.seed(2)


class Layer_Dense:
    def __init__(self, n_inputs, n_neurons):
        self.weights = 0.5 * np.random.randn(n_inputs, n_neurons)
        self.biases = 0.1 * np.random.randn(1, n_neurons)

    def forward(self, inputs):
        self.inputs = inputs
        self.output = np.dot(inputs, self.weights) + self.biases

    def backward(self, dvalues):
        self.dweights = np.dot(self.inputs.T, dvalues)
        self.dbiases = np.sum(dvalues, axis=0, keepdims=True)
        self.dinputs = np.dot(dvalues, self.weights.T)


class Activation_ReLU:
    def forward(self, inputs):
        self.inputs = inputs
        self.output = np.maximum(0, inputs)

    def backward(self, dvalues):
        self.dinputs = dvalues.copy()
        self.dinputs[self.inputs <= 0] = 0


class Activation_Softmax:
    def forward(self, inputs):
        exp_values = np.exp(inputs - np.max(inputs, axis=1, keepdims=True))
        probabilities = exp_values / np.sum(exp_values, axis=1, keepdims=True)
        self.output = probabilities


class Loss_CategoricalCrossentropy:
    def calculate(self, output, y):
        sample_losses = self.forward(output, y)
        data_loss = np.mean(sample_losses)
        return data_loss

    def forward(self, y_pred, y_true):
        y_pred_clipped = np.clip(y_pred, 1e-7, 1 - 1e-7)
        correct_confidences = y_pred_clipped[range(len(y_pred)), y_true]
        return -np.log(correct_confidences)


class Activation_Softmax_Loss_CategoricalCrossentropy:
    def __init__(self):
        self.activation = Activation_Softmax()
        self.loss = Loss_CategoricalCrossentropy()

    def forward(self, inputs, y_true):
        self.activation.forward(inputs)
        self.output = self.activation.output
        return self.loss.calculate(self.output, y_true)

    def backward(self, dvalues, y_true):
        samples = len(dvalues)
        self.dinputs = dvalues.copy()
        self.dinputs[range(samples), y_true] -= 1
        self.dinputs = self.dinputs / samples


class Optimizer_SGD:
    def __init__(self, learning_rate=1.0):
        self.learning_rate = learning_rate

    def update_params(self, layer):
        layer.weights += -self.learning_rate * layer.dweights
        layer.biases += -self.learning_rate * layer.dbiases


X = np.random.randn(23, 6)
y = np.random.randint(0, 4, 23)

dense1 = Layer_Dense(6, 9)
activation1 = Activation_ReLU()
dense2 = Layer_Dense(9, 5)
activation2 = Activation_ReLU()
dense3 = Layer_Dense(5, 4)
loss_activation = Activation_Softmax_Loss_CategoricalCrossentropy()
optimizer = Optimizer_SGD(learning_rate=0.5)

for epoch in range(1000):
    keep(f"{epoch}-W1", dense1.weights)
    keep(f"{epoch}-b3", dense3.biases)
    dense1.forward(X)
    activation1.forward(dense1.output)
    dense2.forward(activation1.output)
    activation2.forward(dense2.output)
    dense3.forward(activation2.output)
    loss = loss_activation.forward(dense3.output, y)
    predictions = np.argmax(loss_activation.output, axis=1)
    accuracy = np.mean(predictions == y)
    if not epoch % 100:
        print(f"epoch: {epoch}, acc: {accuracy:.3f}, loss: {loss:.3f}")
    loss_activation.backward(loss_activation.output, y)
    dense3.backward(loss_activation.dinputs)
    activation2.backward(dense3.dinputs)
    dense2.backward(activation2.dinputs)
    activation1.backward(dense2.dinputs)
    dense1.backward(activation1.dinputs)
    keep(f"{epoch}-X", X)
    keep(f"{epoch}-Y", y)
    keep(f"{epoch}-loss", loss)
    keep(f"{epoch}-Z1", dense1.output)
    keep(f"{epoch}-A1", activation1.output)
    keep(f"{epoch}-Z2", dense2.output)
    keep(f"{epoch}-A2", activation2.output)
    keep(f"{epoch}-Z3", dense3.output)
    keep(f"{epoch}-A3", loss_activation.output)
    keep(f"{epoch}-dZ3", loss_activation.dinputs)
    keep(f"{epoch}-dA2", dense3.dinputs)
    keep(f"{epoch}-dZ2", activation2.dinputs)
    keep(f"{epoch}-dA1", dense2.dinputs)
    keep(f"{epoch}-dZ1", activation1.dinputs)
    keep(f"{epoch}-dW1", dense1.dweights)
    keep(f"{epoch}-db1", dense1.dbiases)
    keep(f"{epoch}-dW3", dense3.dweights)
    optimizer.update_params(dense1)
    optimizer.update_params(dense2)
    optimizer.update_params(dense3)
    keep(f"{epoch}-W1_next", dense1.weights)
    keep(f"{epoch}-b3_next", dense3.biases)
