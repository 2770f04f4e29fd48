"""The compiled program of a population: the one training run, over members, over devices.

Every device works through its members a block at a time, in a loop whose length is an input. The
program therefore has one fixed size, however many members there are, and a member's numbers do
not depend on how the population is cut or on the number of devices, only on the block: on a CPU
that is one member, trained exactly as it would be alone; on an accelerator, many side by side.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxnet.populations.devices import AXIS, memory_limit
from jaxnet.training import Run, Setup, make_train

CPU_CHUNK = 16
"""Members that a CPU device trains between two looks at the progress."""

WIDEST_BLOCK = 1024
"""Members that an accelerator trains side by side; beyond that its units are busy."""


class Plan(NamedTuple):
    """All that is compiled in.

    build, static: the training function and the hyperparameters it gets as plain values. block:
    members trained side by side. per_device: places for members on each device of the mesh, a
    multiple of block.
    """

    build: Callable[[Any], Setup]
    static: tuple[tuple[str, Any], ...]
    batch_size: int | None
    epochs: int
    drop_last: bool
    keep_best: bool
    mesh: Mesh
    block: int
    per_device: int


class Inputs(NamedTuple):
    """What a chunk is trained from; keys, hypers and after have a leading member axis."""

    keys: Any
    hypers: dict[str, Any]
    after: Run | None
    first_epoch: Any


def block_size(mesh: Mesh, members: int) -> int:
    """Members side by side: one on a CPU, whose cores gain nothing from more; else up to 1,024."""
    if mesh.devices.flat[0].platform == "cpu":
        return 1
    per_device = -(-members // mesh.size)
    return min(WIDEST_BLOCK, 1 << (per_device - 1).bit_length())


def _member(plan: Plan, data: Any, dev: Any, first_epoch: Any):
    train = make_train(
        plan.build,
        batch_size=plan.batch_size,
        epochs=plan.epochs,
        drop_last=plan.drop_last,
        keep_best=plan.keep_best,
    )

    def member(given):
        key, hyper, after = given
        return train(key, {**dict(plan.static), **hyper}, data, dev, after, first_epoch)

    return member


def _nothing(shape: jax.ShapeDtypeStruct) -> jax.Array:
    if jnp.issubdtype(shape.dtype, jax.dtypes.prng_key):
        return jnp.broadcast_to(jax.random.key(0), shape.shape)
    return jnp.zeros(shape.shape, shape.dtype)


def _in_blocks(function: Callable[[Any], Any], members: Any, blocks: Any, block: int) -> Any:
    """function of each member, for the first `blocks` blocks; places beyond stay zero."""
    first = jax.tree.map(lambda leaf: leaf[0], members)
    size = jax.tree.leaves(members)[0].shape[0]
    shapes = jax.eval_shape(function, first)
    results = jax.tree.map(
        lambda one: _nothing(jax.ShapeDtypeStruct((size, *one.shape), one.dtype)), shapes
    )

    def work(number, results):
        if block == 1:
            given = jax.tree.map(lambda leaf: leaf[number], members)
            new = jax.tree.map(lambda leaf: leaf[None], function(given))
        else:
            given = jax.tree.map(
                lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, number * block, block), members
            )
            new = jax.vmap(function)(given)
        return jax.tree.map(
            lambda into, leaf: jax.lax.dynamic_update_slice_in_dim(into, leaf, number * block, 0),
            results,
            new,
        )

    return jax.lax.fori_loop(0, blocks, work, results)


@partial(jax.jit, static_argnums=0)
def _train_chunk(plan: Plan, blocks: Any, inputs: Inputs, data: Any, dev: Any) -> Run:
    def on_device(blocks, members, first_epoch, data, dev):
        member = _member(plan, data, dev, first_epoch)
        return _in_blocks(member, members, blocks[0], plan.block)

    spread = jax.shard_map(
        on_device,
        mesh=plan.mesh,
        in_specs=(P(AXIS), P(AXIS), P(), P(), P()),
        out_specs=P(AXIS),
        check_vma=False,
    )
    members = (inputs.keys, inputs.hypers, inputs.after)
    return spread(blocks, members, inputs.first_epoch, data, dev)


def _order(plan: Plan, members: int) -> np.ndarray:
    """Which member sits at each place of the chunk: dealt to the devices in turn; empty places
    repeat the first member, whose copies are not trained (on a block's rest: trained, dropped)."""
    places = np.arange(plan.mesh.size * plan.per_device)
    device, slot = np.divmod(places, plan.per_device)
    member = slot * plan.mesh.size + device
    return np.where(member < members, member, 0)


def _back(plan: Plan, members: int) -> np.ndarray:
    """The place of each member."""
    slot, device = np.divmod(np.arange(members), plan.mesh.size)
    return device * plan.per_device + slot


def to_host(tree: Any) -> Any:
    """A pytree as NumPy arrays; random keys as the numbers they are made of."""

    def one(leaf):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        return np.asarray(leaf)

    return jax.tree.map(one, tree)


def from_host(shapes: Any, tree: Any) -> Any:
    """The inverse of to_host: shapes says which leaves were random keys."""

    def one(shape, leaf):
        if jnp.issubdtype(shape.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(leaf)
        return leaf

    return jax.tree.map(one, shapes, tree)


def plain(shapes: Any) -> Any:
    """Shapes of what to_host returns for arrays of these shapes."""

    def one(shape):
        if jnp.issubdtype(shape.dtype, jax.dtypes.prng_key):
            return jax.eval_shape(jax.random.key_data, shape)
        return shape

    return jax.tree.map(one, shapes)


@partial(jax.jit, static_argnums=0)
def _alone(plan: Plan, key: Any, hyper: Any, data: Any, dev: Any) -> Run:
    return _member(plan, data, dev, 0)((key, hyper, None))


def result_shapes(plan: Plan, inputs: Inputs, data: Any, dev: Any) -> Run:
    """Shapes of one member's Run, without computing it; traced once and remembered by jit."""
    key, hyper = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), (inputs.keys, inputs.hypers)
    )
    return _alone.eval_shape(plan._replace(block=1, per_device=0), key, hyper, data, dev)


def train_chunk(plan: Plan, inputs: Inputs, data: Any, dev: Any) -> Run:
    """Train up to mesh.size · per_device members; results on the host, in the members' order."""
    members = len(inputs.keys)
    slots = -(-np.maximum(members - np.arange(plan.mesh.size), 0) // plan.mesh.size)
    blocks = -(-slots // plan.block)
    results = _train_chunk(plan, *_placed(plan, inputs, blocks), data, dev)
    places = _back(plan, members)
    return jax.tree.map(lambda leaf: leaf[places], to_host(results))


def everywhere(plan: Plan) -> NamedSharding:
    """The sharding of what every device holds whole: the data."""
    return NamedSharding(plan.mesh, P())


def _placed(plan: Plan, inputs: Inputs, blocks: np.ndarray):
    order = _order(plan, len(inputs.keys))
    spread = NamedSharding(plan.mesh, P(AXIS))
    keys, hypers, after = jax.tree.map(
        lambda leaf: jax.device_put(leaf[order], spread),
        (inputs.keys, inputs.hypers, inputs.after),
    )
    first = jnp.asarray(inputs.first_epoch, jnp.int32)
    return jax.device_put(blocks.astype(np.int32), spread), Inputs(keys, hypers, after, first)


@cache
def _stated_bytes(plan: Plan, structure: Any, specs: tuple[jax.ShapeDtypeStruct, ...]) -> int:
    lowered = _train_chunk.lower(plan, *jax.tree.unflatten(structure, specs))
    stated = lowered.compile().memory_analysis()
    if stated is None:  # a platform that does not say
        return 0
    return (
        stated.argument_size_in_bytes
        + stated.output_size_in_bytes
        + stated.temp_size_in_bytes
        - stated.alias_size_in_bytes
    )


def chunk_bytes(plan: Plan, inputs: Inputs, data: Any, dev: Any) -> int:
    """Bytes that the compiled program needs on one device, as the compiler itself states them.

    Remembered: asking takes as long as training a small member. The program is compiled here, and
    found compiled when it is called.
    """
    places = plan.mesh.size * plan.per_device
    spread, whole = NamedSharding(plan.mesh, P(AXIS)), everywhere(plan)

    def of_chunk(leaf):
        return jax.ShapeDtypeStruct((places, *leaf.shape[1:]), leaf.dtype, sharding=spread)

    blocks = jax.ShapeDtypeStruct((plan.mesh.size,), np.int32, sharding=spread)
    keys, hypers, after = jax.tree.map(of_chunk, (inputs.keys, inputs.hypers, inputs.after))
    members = Inputs(keys, hypers, after, jax.ShapeDtypeStruct((), np.int32))
    held = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=whole), (data, dev)
    )
    specs, structure = jax.tree.flatten((blocks, members, *held))
    return _stated_bytes(plan, structure, tuple(specs))


def fit_memory(plan: Plan, inputs: Inputs, data: Any, dev: Any, chunk: int | None) -> Plan:
    """The plan with as many places per device as memory allows, or as `chunk` asks for.

    A first number is estimated from what a member returns; then the compiler is asked what the
    program needs, and the places, then the block, are halved until that fits.
    Raises MemoryError when one member does not fit, naming the bytes.
    """
    limit = memory_limit(plan.mesh.devices.flat[0])
    shapes = jax.tree.leaves(result_shapes(plan, inputs, data, dev))
    member = sum(one.size * one.dtype.itemsize for one in shapes)
    if chunk is not None:
        per_device = -(-chunk // plan.mesh.size)
    else:
        # A member's results once as output, its working copy with gradients about twice more.
        affordable = max(1, limit // (3 * member))
        per_device = min(affordable, CPU_CHUNK if plan.block == 1 else plan.block)
    block = min(plan.block, 1 << (per_device.bit_length() - 1))
    plan = plan._replace(block=block, per_device=-(-per_device // block) * block)
    while (needed := chunk_bytes(plan, inputs, data, dev)) > limit:
        if plan.per_device == 1:
            raise MemoryError(
                f"one member needs {needed:,} bytes on a device that can give {limit:,}; use a "
                f"smaller network, batch or data set"
            )
        halved = plan.per_device // 2
        block = min(plan.block, 1 << (halved.bit_length() - 1))
        plan = plan._replace(block=block, per_device=halved // block * block)
    return plan
