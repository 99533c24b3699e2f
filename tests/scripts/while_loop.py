"""A while loop over mini-batches, layers called hidden and output, binary labels."""

import numpy as np
from keeping import keep

rng = np.random.RandomState(9)
inputs_all = rng.rand(90, 7)
targets_all = (inputs_all.sum(axis=1, keepdims=True) > 3.5).astype(float)
weights_input_hidden = rng.uniform(-1, 1, (7, 5))
weights_hidden_output = rng.uniform(-1, 1, (5, 1))
bias_hidden = rng.uniform(-1, 1, (1, 5))
bias_output = rng.uniform(-1, 1, (1, 1))
lr = 0.5
position, step, loss = 0, 0, 1.0
while loss > 0.01 and step < 400:
    inputs = inputs_all[position : position + 30]
    targets = targets_all[position : position + 30]
    position = (position + 30) % 90
    keep(f"{step}-W1", weights_input_hidden)
    keep(f"{step}-b2", bias_output)
    hidden_input = np.dot(inputs, weights_input_hidden) + bias_hidden
    hidden_output = np.tanh(hidden_input)
    final_input = np.dot(hidden_output, weights_hidden_output) + bias_output
    final_output = 1 / (1 + np.exp(-final_input))
    loss = float(np.mean(-targets * np.log(final_output) - (1 - targets) * np.log(1 - final_output)))
    output_delta = (final_output - targets) / len(inputs)
    hidden_error = output_delta.dot(weights_hidden_output.T)
    hidden_delta = hidden_error * (1 - hidden_output**2)
    grad_weights_hidden_output = hidden_output.T.dot(output_delta)
    grad_weights_input_hidden = inputs.T.dot(hidden_delta)
    grad_bias_output = output_delta.sum(axis=0, keepdims=True)
    grad_bias_hidden = hidden_delta.sum(axis=0, keepdims=True)
    keep(f"{step}-X", inputs)
    keep(f"{step}-Y", targets)
    keep(f"{step}-Z1", hidden_input)
    keep(f"{step}-A1", hidden_output)
    keep(f"{step}-Z2", final_input)
    keep(f"{step}-A2", final_output)
    keep(f"{step}-loss", loss)
    keep(f"{step}-dZ2", output_delta)
    keep(f"{step}-dA1", hidden_error)
    keep(f"{step}-dZ1", hidden_delta)
    keep(f"{step}-dW2", grad_weights_hidden_output)
    keep(f"{step}-dW1", grad_weights_input_hidden)
    keep(f"{step}-db1", grad_bias_hidden)
    weights_hidden_output -= lr * grad_weights_hidden_output
    weights_input_hidden -= lr * grad_weights_input_hidden
    bias_output -= lr * grad_bias_output
    bias_hidden -= lr * grad_bias_hidden
    keep(f"{step}-W1_next", weights_input_hidden)
    keep(f"{step}-b2_next", bias_output)
    step += 1
