"""How a surrogate gradient compares with the exact one of the same network, loss and trials."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import raise_unless_ok
from stablespike.learning.surrogates import SuperSpike, SurrogateSpike
from stablespike.stability.gradient_statistics import alignment
from studies.surrogate_versus_exact import Classification, Exact, Surrogate, TwinWeights

Labelled = tuple[Spikes, Int[Array, " trials"]]


class Alignments(eqx.Module):
    """Surrogate beside exact gradient at each of the sharpnesses: `cosine`, `norm_ratio` (surrogate over exact) and the
    `loss` of the grid, `[sharpnesses]`; the `exact_loss`; `fewest` spikes of a layer in a trial.
    """

    cosine: Float[Array, " sharpnesses"]
    norm_ratio: Float[Array, " sharpnesses"]
    loss: Float[Array, " sharpnesses"]
    exact_loss: Float[Array, ""]
    fewest: Float[Array, ""]


@eqx.filter_jit
def _gradients(weights, batch, exact, steps, sharpnesses):
    """Values and gradients by both methods; those of the surrogate for every sharpness."""

    def by_surrogate(sharpness):
        spike = SurrogateSpike(SuperSpike(sharpness))
        method = Surrogate(exact.membrane_time_constant, exact.duration, steps, spike)
        return jax.value_and_grad(Classification(method), has_aux=True)(weights, batch)

    reference = jax.value_and_grad(Classification(exact), has_aux=True)(weights, batch)
    counts = jax.vmap(lambda spikes: exact(weights, spikes).counts)(batch[0])
    fewest = jnp.min(jnp.stack([layer.sum(-1).min() for layer in counts]))
    return jax.vmap(by_surrogate)(sharpnesses), reference, fewest


def align(weights: TwinWeights, batch: Labelled, exact: Exact, steps: int, sharpnesses) -> Alignments:
    """Compare the gradients of one network and batch on a grid of `steps` steps, SuperSpike of each sharpness.

    In the weights into the layers and within them: those of the readout need no derivative of a spike. Raises
    `SimulationError` if a simulation failed, `ValueError` if a layer was silent in some trial.
    """
    (grid, slopes), (event, gradient), fewest = _gradients(weights, batch, exact, steps, jnp.asarray(sharpnesses))
    raise_unless_ok((event[1][0], grid[1][0]))
    if not float(fewest) >= 1:
        raise ValueError("a layer was silent in a trial: drive the network more strongly.")
    one, others = (gradient.inputs, gradient.recurrent), (slopes.inputs, slopes.recurrent)
    each = [jax.tree.map(lambda leaf, k=k: leaf[k], others) for k in range(len(sharpnesses))]
    cosines = jnp.stack([alignment(other, one) for other in each])
    ratios = jnp.stack([optax.tree.norm(other) for other in each]) / optax.tree.norm(one)
    return Alignments(cosines, ratios, grid[0], event[0], fewest)
