"""keras.optimizers.schedules' schedules as those of `rates`."""

from jaxnet.crosscheck.translation import rates
from jaxnet.crosscheck.translation.calls import Call, call
from jaxnet.crosscheck.translation.source import Schedule


def schedule_call(schedule: Schedule) -> Call:
    """The keras schedule as one of `rates`."""
    a = schedule.arguments
    start = a.get("initial_learning_rate")
    if schedule.name in ("ExponentialDecay", "InverseTimeDecay"):
        exponential = schedule.name == "ExponentialDecay"
        function = rates.exponential_decay if exponential else rates.inverse_time_decay
        keywords = {name: a[name] for name in ("decay_steps", "decay_rate", "staircase")}
        return call(function, start, **keywords)
    if schedule.name == "PiecewiseConstantDecay":
        return call(rates.piecewise_constant, tuple(a["boundaries"]), tuple(a["values"]))
    if schedule.name == "PolynomialDecay":
        return call(
            rates.polynomial_decay,
            start,
            decay_steps=a["decay_steps"],
            end=a["end_learning_rate"],
            power=a["power"],
            cycle=a["cycle"],
        )
    if schedule.name == "CosineDecay":
        return call(
            rates.cosine_decay,
            start,
            decay_steps=a["decay_steps"],
            alpha=a["alpha"],
            target=a["warmup_target"],
            warmup_steps=a["warmup_steps"],
        )
    names = ("first_decay_steps", "t_mul", "m_mul", "alpha")
    return call(rates.cosine_decay_restarts, start, **{name: a[name] for name in names})
