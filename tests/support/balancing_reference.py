"""The methods of balancing in NumPy and SciPy, written from the papers on whole gradients, and matrices to try."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.optimize import minimize, nnls


def matrices(num_tasks: Sequence[int] = (1, 2, 3, 5), parameters: int = 9) -> Iterator[tuple[str, np.ndarray]]:
    """Gradients of every rank, with strong conflict, parallel, opposite and zero rows, float64 `(T, P)`."""
    random = np.random.default_rng(7)
    for tasks in num_tasks:
        for rank in sorted({1, max(1, tasks - 1), tasks}):
            factors = random.normal(size=(tasks, rank)), random.normal(size=(rank, parameters))
            yield f"{tasks} tasks, rank {rank}", factors[0] @ factors[1]
        common = random.normal(size=parameters)
        yield f"{tasks} tasks, equal", np.tile(common, (tasks, 1))
        yield f"{tasks} tasks, nearly equal", common + 0.01 * random.normal(size=(tasks, parameters))
        plane = np.diag([1.0, 1.0] + [0.1] * (parameters - 2))  # where most of it happens
        yield f"{tasks} tasks, conflict", 0.3 * common + random.normal(size=(tasks, parameters)) @ plane
        lopsided = random.normal(size=(tasks, parameters)) * np.logspace(-2, 1, tasks)[:, None]
        yield f"{tasks} tasks, norms apart", lopsided
        if tasks > 1:
            sums_to_zero = random.normal(size=(tasks, parameters))
            yield f"{tasks} tasks, sum zero", sums_to_zero - sums_to_zero.mean(axis=0)
            with_zero = random.normal(size=(tasks, parameters))
            with_zero[1] = 0.0
            yield f"{tasks} tasks, a zero row", with_zero
        yield f"{tasks} tasks, all zero", np.zeros((tasks, parameters))


def pcgrad(gradients: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Yu et al. 2020, algorithm 1, each task meeting the others in its row of `orders`."""
    projected = gradients.copy()
    for i, order in enumerate(orders):
        for j in order:
            product = projected[i] @ gradients[j]
            if j != i and product < 0:
                projected[i] -= product / (gradients[j] @ gradients[j]) * gradients[j]
    return projected.sum(axis=0)


def gradvac(gradients: np.ndarray, orders: np.ndarray, usual: np.ndarray, decay: float) -> np.ndarray:
    """Wang et al. 2021, algorithm 1; moves `usual` on."""
    turned = gradients.copy()
    for i, order in enumerate(orders):
        for j in order:
            if j == i:
                continue
            own, other = np.linalg.norm(turned[i]), np.linalg.norm(gradients[j])
            cosine, goal = turned[i] @ gradients[j] / (own * other), usual[i, j]
            if cosine < goal:
                rest = np.sqrt(1 - goal**2)
                turned[i] += own * (goal * np.sqrt(1 - cosine**2) - cosine * rest) / (other * rest) * gradients[j]
            usual[i, j] = (1 - decay) * goal + decay * cosine
    return turned.sum(axis=0)


def min_norm(gradients: np.ndarray) -> np.ndarray:
    """The point of least norm in the convex hull of the rows, by non-negative least squares.

    `|sum_t x_t g_t|^2 + (1 - sum_t x_t)^2` has its minimum over `x >= 0` on the ray through that point's weights.
    """
    tasks, parameters = gradients.shape
    extended = np.vstack([gradients.T, np.ones(tasks)])
    solution = nnls(extended, np.append(np.zeros(parameters), 1.0))[0]
    return solution @ gradients / solution.sum()


def cagrad_objective(gradients: np.ndarray, shares: np.ndarray, alpha: float) -> float:
    """What the weights of Liu et al. 2021, eq. 5, minimize over the simplex."""
    mean, combined = gradients.mean(axis=0), shares @ gradients
    return float(combined @ mean + alpha * np.linalg.norm(mean) * np.linalg.norm(combined))


def cagrad_shares(gradients: np.ndarray, alpha: float) -> np.ndarray:
    """The weights of the worst case, by SLSQP from the middle and from near the best vertex."""
    tasks = len(gradients)
    corners = 0.9 * np.eye(tasks) + 0.1 / tasks
    best = min(corners, key=lambda shares: cagrad_objective(gradients, shares, alpha))
    starts = [np.full(tasks, 1 / tasks), best]
    results = [
        minimize(
            lambda shares: cagrad_objective(gradients, shares, alpha),
            start,
            bounds=[(0, 1)] * tasks,
            constraints={"type": "eq", "fun": lambda shares: shares.sum() - 1},
            method="SLSQP",
            options={"ftol": 1e-13, "maxiter": 500},
        )
        for start in starts
    ]
    return min(results, key=lambda result: result.fun).x


def cagrad(gradients: np.ndarray, alpha: float) -> np.ndarray:
    """Liu et al. 2021, algorithm 1, divided by `1 + alpha^2` as in the authors' code."""
    mean, worst = gradients.mean(axis=0), cagrad_shares(gradients, alpha) @ gradients
    return (mean + alpha * np.linalg.norm(mean) * worst / np.linalg.norm(worst)) / (1 + alpha**2)


def imtl_g(gradients: np.ndarray) -> np.ndarray:
    """Liu et al. 2021 (IMTL), eq. 6: `a_2.. = g_1 U' (D U')^-1`."""
    units = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    unit_differences, differences = units[0] - units[1:], gradients[0] - gradients[1:]
    others = gradients[0] @ unit_differences.T @ np.linalg.inv(differences @ unit_differences.T)
    return np.append(1 - others.sum(), others) @ gradients


def aligned_mtl(gradients: np.ndarray) -> np.ndarray:
    """Senushkin et al. 2023: the orthogonal factor of the gradients times their least singular value, summed."""
    left, values, right = np.linalg.svd(gradients, full_matrices=False)
    norms = np.linalg.norm(gradients, axis=1)
    units = gradients[norms > 0] / norms[norms > 0, None]
    squares = np.linalg.svd(units, compute_uv=False) ** 2
    rank = int(np.sum(squares > 1.2e-7 * len(gradients) * squares[0]))  # what float32 products tell from 0
    return np.ones(len(gradients)) @ left[:, :rank] @ right[:rank] * values[:rank].min()


def upgrad(gradients: np.ndarray) -> np.ndarray:
    """Quinton and Rey 2024: each row's projection onto the dual cone of the rows, by non-negative least squares."""
    # Moreau: g projected onto {d: M d >= 0} is g plus what projects -g onto the cone of the rows.
    return np.mean([row + nnls(gradients.T, -row)[0] @ gradients for row in gradients], axis=0)


class Adam:
    """Kingma and Ba 2015, algorithm 1."""

    def __init__(self, size: int, learning_rate: float) -> None:
        self.learning_rate, self.steps = learning_rate, 0
        self.mean, self.square = np.zeros(size), np.zeros(size)

    def change(self, gradient: np.ndarray) -> np.ndarray:
        self.steps += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        mean, square = self.mean / (1 - 0.9**self.steps), self.square / (1 - 0.999**self.steps)
        return -self.learning_rate * mean / (np.sqrt(square) + 1e-8)


def famo(pairs: Sequence[tuple[np.ndarray, np.ndarray]], learning_rate: float, gamma: float) -> list[np.ndarray]:
    """Liu et al. 2023, algorithm 1 with Adam: the weights of each step, given losses before and after it."""
    logits, found = np.zeros(len(pairs[0][0])), []
    adam = Adam(len(logits), learning_rate)
    for before, after in pairs:
        shares = np.exp(logits) / np.exp(logits).sum()
        found.append(shares / before / (shares / before).sum())
        jacobian = np.diag(shares) - np.outer(shares, shares)
        logits = logits + adam.change(jacobian @ (np.log(before) - np.log(after)) + gamma * logits)
    return found


def gradnorm(
    losses: Sequence[np.ndarray], norms: Sequence[np.ndarray], alpha: float, learning_rate: float
) -> list[np.ndarray]:
    """Chen et al. 2018, algorithm 1 with Adam on norms divided by their mean: the weights of each step."""
    weights, found = np.ones(len(losses[0])), []
    adam = Adam(len(weights), learning_rate)
    for now, norm in zip(losses, norms, strict=True):
        found.append(weights)
        norm, rates = norm / norm.mean(), now / losses[0]
        target = (weights * norm).mean() * (rates / rates.mean()) ** alpha
        weights = weights + adam.change(norm * np.sign(weights * norm - target))
        weights = weights * len(weights) / weights.sum()
    return found


def dwa(losses: np.ndarray, temperature: float, period: int) -> list[np.ndarray]:
    """Liu et al. 2019, eq. 7: the weights of each step, periods in place of epochs."""
    found = []
    for step in range(len(losses)):
        ratios = np.ones(losses.shape[1])
        done = step // period
        if done >= 2:
            means = losses[: done * period].reshape(done, period, -1).mean(axis=1)
            ratios = means[-1] / means[-2]
        powers = np.exp(ratios / temperature)
        found.append(losses.shape[1] * powers / powers.sum())
    return found
