"""One hidden layer without biases, one record at a time, trained by adding."""

import numpy
from keeping import keep


class neuralNetwork:
    def __init__(self, inputnodes, hiddennodes, outputnodes, learningrate):
        self.inodes, self.hnodes, self.onodes = inputnodes, hiddennodes, outputnodes
        self.wih = numpy.random.normal(0.0, pow(self.inodes, -0.5), (self.hnodes, self.inodes))
        self.who = numpy.random.normal(0.0, pow(self.hnodes, -0.5), (self.onodes, self.hnodes))
        self.lr = learningrate
        self.activation_function = lambda x: 1 / (1 + numpy.exp(-x))

    def train(self, inputs_list, targets_list):
        global number
        inputs = numpy.array(inputs_list, ndmin=2).T
        targets = numpy.array(targets_list, ndmin=2).T
        keep(f"{number}-W1", self.wih)
        hidden_inputs = numpy.dot(self.wih, inputs)
        hidden_outputs = self.activation_function(hidden_inputs)
        final_inputs = numpy.dot(self.who, hidden_outputs)
        final_outputs = self.activation_function(final_inputs)
        output_errors = targets - final_outputs
        output_deltas = output_errors * final_outputs * (1.0 - final_outputs)
        hidden_errors = numpy.dot(self.who.T, output_deltas)
        keep(f"{number}-X", inputs)
        keep(f"{number}-Y", targets)
        keep(f"{number}-Z1", hidden_inputs)
        keep(f"{number}-A2", final_outputs)
        keep(f"{number}-minus-dZ2", output_deltas)
        keep(f"{number}-minus-dA1", hidden_errors)
        self.who += self.lr * numpy.dot(output_deltas, numpy.transpose(hidden_outputs))
        self.wih += self.lr * numpy.dot(
            (hidden_errors * hidden_outputs * (1.0 - hidden_outputs)), numpy.transpose(inputs)
        )
        keep(f"{number}-W1_next", self.wih)
        number += 1

    def query(self, inputs_list):
        inputs = numpy.array(inputs_list, ndmin=2).T
        hidden_inputs = numpy.dot(self.wih, inputs)
        hidden_outputs = self.activation_function(hidden_inputs)
        final_inputs = numpy.dot(self.who, hidden_outputs)
        final_outputs = self.activation_function(final_inputs)
        return final_outputs


number = 0
numpy.random.seed(13)
n = neuralNetwork(11, 7, 4, 0.2)
for e in range(2):
    for record in range(25):
        inputs = numpy.random.rand(11) * 0.99 + 0.01
        targets = numpy.zeros(4) + 0.01
        targets[record % 4] = 0.99
        n.train(inputs, targets)
    print(numpy.argmax(n.query(inputs)))
