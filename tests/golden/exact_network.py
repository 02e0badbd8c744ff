"""Event-driven networks in forty-digit arithmetic with reverse-mode derivatives, written apart from the package.

Voltages, not homogeneous coordinates: tan, tanh and their inverses, one case per sign of the current. A small tape
gives the derivative of any spike time with respect to every weight and initial state.
"""

import heapq

import mpmath as mp

mp.mp.dps = 45


class Variable:
    """A number that remembers what it was made of."""

    __slots__ = ("parents", "slope", "value")

    def __init__(self, value, parents=()):
        self.value, self.parents, self.slope = mp.mpf(value), parents, mp.mpf(0)

    def __add__(self, other):
        return Variable(self.value + plain(other), [(self, 1), (other, 1)])

    def __sub__(self, other):
        return Variable(self.value - plain(other), [(self, 1), (other, -1)])

    def __rsub__(self, other):
        return Variable(other - self.value, [(self, -1)])

    def __mul__(self, other):
        return Variable(self.value * plain(other), [(self, plain(other)), (other, self.value)])

    def __truediv__(self, other):
        quotient = self.value / plain(other)
        return Variable(quotient, [(self, 1 / plain(other)), (other, -quotient / plain(other))])

    def __rtruediv__(self, other):
        return Variable(other / self.value, [(self, -other / self.value**2)])

    def __neg__(self):
        return Variable(-self.value, [(self, -1)])

    __radd__, __rmul__ = __add__, __mul__


def plain(x):
    return x.value if isinstance(x, Variable) else x


def _elementary(function, slope):
    def apply(x):
        if not isinstance(x, Variable):
            return function(x)
        value = function(x.value)
        return Variable(value, [(x, slope(x.value, value))])

    return apply


exp = _elementary(mp.exp, lambda x, y: y)
log = _elementary(mp.log, lambda x, y: 1 / x)
sqrt = _elementary(mp.sqrt, lambda x, y: 1 / (2 * y))
tan = _elementary(mp.tan, lambda x, y: 1 + y**2)
atan = _elementary(mp.atan, lambda x, y: 1 / (1 + x**2))
tanh = _elementary(mp.tanh, lambda x, y: 1 - y**2)
atanh = _elementary(mp.atanh, lambda x, y: 1 / (1 - x**2))


def pull_back(result: Variable) -> None:
    """Put the derivative of `result` with respect to every variable behind it into its `slope`."""
    order, seen, stack = [], set(), [(result, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            node.slope = mp.mpf(0)
            stack.append((node, True))
            stack.extend((parent, False) for parent, _ in node.parents if isinstance(parent, Variable))
    result.slope = mp.mpf(1)
    for node in reversed(order):
        for parent, factor in node.parents:
            if isinstance(parent, Variable):
                parent.slope += node.slope * factor


class QIF:
    """State (U or None for V = -inf, I); tau = 1."""

    def flow(self, state, dt):
        voltage, current = state
        s = exp(-dt)
        root = sqrt(abs_value(current))
        positive = plain(current) > 0
        T = (tan if positive else tanh)(root * (1 - s))
        if voltage is None:
            U = -root / T
        elif positive:
            U = (voltage + root * T) / (1 - voltage * T / root)
        else:
            U = (voltage - root * T) / (1 - voltage * T / root)
        return s * U, s * s * current

    def wait(self, state):
        voltage, current = state
        root = sqrt(abs_value(current))
        if plain(current) > 0:
            u = mp.pi / root if voltage is None else (mp.pi / 2 - atan(voltage / root)) / root
        elif voltage is None or plain(voltage) <= plain(root):
            return mp.inf
        else:
            u = atanh(root / voltage) / root
        return -log(1 - u) if plain(u) < 1 else mp.inf

    def jump(self, state, weight):
        return state[0], state[1] + weight

    def fire(self, state, dt):
        return None, exp(-2 * dt) * state[1]


class LIF:
    """State (V, I); tau = 1, threshold 1."""

    def flow(self, state, dt):
        x = exp(-dt)
        return state[0] * x + state[1] * (x - x * x), x * x * state[1]

    def wait(self, state):
        voltage, current = state
        total = voltage + current
        discriminant = total * total - 4 * current
        if plain(current) <= 0 or plain(discriminant) < 0:
            return mp.inf
        x = (total + sqrt(discriminant)) / (2 * current)
        return -log(x) if 0 < plain(x) < 1 else mp.inf

    jump = QIF.jump

    def fire(self, state, dt):
        return mp.mpf(0), exp(-2 * dt) * state[1]


class Theta:
    """State (phase,), the time since the reset; tau = 1, drive 5/4, so that V = 1/2 - cot(phase)."""

    def flow(self, state, dt):
        return (state[0] + dt,)

    def wait(self, state):
        return mp.pi - state[0]

    def jump(self, state, weight):
        if plain(state[0]) == 0:
            return state
        T = tan(state[0] - mp.pi / 2)
        return (atan(T + weight) + mp.pi / 2,)

    def fire(self, state, dt):
        return (mp.mpf(0),)


class OscillatoryLIF:
    """State (V,); tau = 1, drive 5/4, threshold 1."""

    def flow(self, state, dt):
        return (1.25 - (1.25 - state[0]) * exp(-dt),)

    def wait(self, state):
        return log((1.25 - state[0]) / mp.mpf("0.25")) if plain(state[0]) < 1 else mp.mpf(0)

    def jump(self, state, weight):
        return (state[0] + weight,)

    def fire(self, state, dt):
        return (mp.mpf(0),)


def abs_value(x):
    return x if plain(x) > 0 else -x


class Population:
    """Neurons that are only touched when something reaches them, each with the time of its next spike."""

    def __init__(self, neuron, states):
        self.neuron, self.states, self.since = neuron, list(states), [mp.mpf(0)] * len(states)
        self.next = [plain(neuron.wait(plain_state(state))) for state in states]

    def receive(self, post, weight, time):
        dt = time - self.since[post]
        state = self.neuron.flow(self.states[post], dt) if plain(dt) else self.states[post]
        self.put(post, self.neuron.jump(state, weight), time)

    def time_of(self, index):
        return self.since[index] + self.neuron.wait(self.states[index])

    def fire(self, index, time):
        self.put(index, self.neuron.fire(self.states[index], time - self.since[index]), time)

    def put(self, index, state, time):
        self.states[index], self.since[index] = state, time
        self.next[index] = plain(time) + self.neuron.wait(plain_state(state))


def simulate(neuron, weights, input_weights, states, inputs, duration, delays=None):
    """Spikes (time, neuron) up to `duration`; rows of the weights are postsynaptic; `inputs` are (time, channel).

    Neurons that reach their spike at one time are all delivered, by index, but those that they lift first.
    """
    arrivals = [Delivery((mp.mpf(time), order, None, channel)) for order, (time, channel) in enumerate(inputs)]
    heapq.heapify(arrivals)
    population, everyone, spikes, order, due = Population(neuron, states), range(len(states)), [], len(arrivals), {}
    while True:
        spike_time, arrival_time = min(population.next), plain(arrivals[0][0]) if arrivals else mp.inf
        if not due and min(spike_time, arrival_time) > duration:
            return spikes
        if due or spike_time < arrival_time:
            now = plain(spikes[-1][0]) if due else spike_time
            fresh = {i: population.time_of(i) for i in everyone if i not in due and population.next[i] <= now}
            due |= fresh
            first = min(fresh or due)
            spikes.append((due.pop(first), first))
            population.fire(first, spikes[-1][0])
            for post in everyone:
                order += 1
                if delays is None:
                    population.receive(post, weights[post][first], spikes[-1][0])
                else:
                    time = spikes[-1][0] + delays[post][first]
                    heapq.heappush(arrivals, Delivery((time, order, post, first)))
            continue
        time, _, post, source = heapq.heappop(arrivals)
        if post is None:
            for index in everyone:
                population.receive(index, input_weights[index][source], time)
        else:
            population.receive(post, weights[post][source], time)


class Delivery(tuple):
    """An arrival whose time may be a variable: ordered by the time's value."""

    def __lt__(self, other):
        return (plain(self[0]), self[1]) < (plain(other[0]), other[1])

    def __gt__(self, other):
        return (plain(self[0]), self[1]) > (plain(other[0]), other[1])


def plain_state(state):
    return tuple(None if x is None else plain(x) for x in state)
