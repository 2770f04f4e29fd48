"""The documented arguments of every optimizer that is known here, in order, with their defaults.

torch 2.13, keras 3.15.1 and scikit-learn 1.9.1. A name is translated from these tables alone, also
where its framework is not installed; the tests hold them to the installed signatures.
"""

from typing import Any

REQUIRED = "required"
"""Stands where an argument has no default."""

_NO_DECAY = {"weight_decay": None}

_KERAS: dict[str, Any] = {
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
    "name": None,
}

_BETAS = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}

_SWITCHES = {"maximize": False, "capturable": False, "differentiable": False}

IRRELEVANT = ("foreach", "fused", "capturable", "differentiable")
"""torch's arguments that choose how a step is computed, not what it is."""

TORCH: dict[str, dict[str, Any]] = {
    "Adadelta": {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0, "foreach": None}
    | {"capturable": False, "maximize": False, "differentiable": False},
    "Adafactor": {"lr": 1e-2, "beta2_decay": -0.8, "eps": (None, 1e-3), "d": 1.0}
    | {"weight_decay": 0.0, "foreach": None, "maximize": False},
    "Adagrad": {"lr": 1e-2, "lr_decay": 0, "weight_decay": 0, "initial_accumulator_value": 0}
    | {"eps": 1e-10, "foreach": None, "maximize": False, "differentiable": False, "fused": None},
    "Adam": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0}
    | {"amsgrad": False, "foreach": None, **_SWITCHES, "fused": None}
    | {"decoupled_weight_decay": False},
    "AdamW": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2}
    | {"amsgrad": False, "maximize": False, "foreach": None, "capturable": False}
    | {"differentiable": False, "fused": None},
    "Adamax": {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "foreach": None}
    | {"maximize": False, "differentiable": False, "capturable": False},
    "ASGD": {"lr": 1e-2, "lambd": 1e-4, "alpha": 0.75, "t0": 1e6, "weight_decay": 0}
    | {"foreach": None, "maximize": False, "differentiable": False, "capturable": False},
    "LBFGS": {"lr": 1, "max_iter": 20, "max_eval": None, "tolerance_grad": 1e-7}
    | {"tolerance_change": 1e-9, "history_size": 100, "line_search_fn": None},
    "Muon": {"lr": 1e-3, "weight_decay": 0.1, "momentum": 0.95, "nesterov": True}
    | {"ns_coefficients": (3.4445, -4.775, 2.0315), "eps": 1e-7, "ns_steps": 5}
    | {"adjust_lr_fn": None},
    "NAdam": {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0}
    | {"momentum_decay": 4e-3, "decoupled_weight_decay": False, "foreach": None, **_SWITCHES},
    "RAdam": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0}
    | {"decoupled_weight_decay": False, "foreach": None, **_SWITCHES},
    "RMSprop": {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0, "momentum": 0}
    | {"centered": False, "capturable": False, "foreach": None, "maximize": False}
    | {"differentiable": False},
    "Rprop": {"lr": 1e-2, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50), "capturable": False}
    | {"foreach": None, "maximize": False, "differentiable": False},
    "SGD": {"lr": 1e-3, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False}
    | {"maximize": False, "foreach": None, "differentiable": False, "fused": None},
    "SparseAdam": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "maximize": False},
}  # fmt: skip

KERAS: dict[str, dict[str, Any]] = {
    "Adadelta": {"learning_rate": 0.001, "rho": 0.95, "epsilon": 1e-7, **_NO_DECAY, **_KERAS},
    "Adafactor": {"learning_rate": 0.001, "beta_2_decay": -0.8, "epsilon_1": 1e-30}
    | {"epsilon_2": 1e-3, "clip_threshold": 1.0, "relative_step": True, **_NO_DECAY, **_KERAS},
    "Adagrad": {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "epsilon": 1e-7}
    | {**_NO_DECAY, **_KERAS},
    "Adam": {"learning_rate": 0.001, **_BETAS, "amsgrad": False, **_NO_DECAY, **_KERAS},
    "AdamW": {"learning_rate": 0.001, "weight_decay": 0.004, **_BETAS, "amsgrad": False, **_KERAS},
    "Adamax": {"learning_rate": 0.001, **_BETAS, **_NO_DECAY, **_KERAS},
    "Ftrl": {"learning_rate": 0.001, "learning_rate_power": -0.5}
    | {"initial_accumulator_value": 0.1, "l1_regularization_strength": 0.0}
    | {"l2_regularization_strength": 0.0, "l2_shrinkage_regularization_strength": 0.0}
    | {"beta": 0.0, **_NO_DECAY, **_KERAS},
    "Lamb": {"learning_rate": 0.001, **_BETAS, **_NO_DECAY, **_KERAS},
    "Lion": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99, **_NO_DECAY, **_KERAS},
    "LossScaleOptimizer": {"inner_optimizer": REQUIRED, "initial_scale": 2.0**15}
    | {"dynamic_growth_steps": 2000, "name": None},
    "Muon": {"learning_rate": 0.001, "adam_beta_1": 0.9, "adam_beta_2": 0.999}
    | {"adam_weight_decay": 0.004, "epsilon": 1e-7, "weight_decay": 0.004, **_KERAS}
    | {"exclude_layers": None, "exclude_embeddings": True, "muon_a": 3.4445, "muon_b": -4.775}
    | {"muon_c": 2.0315, "adam_lr_ratio": 1, "momentum": 0.95, "ns_steps": 5, "nesterov": True}
    | {"rms_rate": 0.2},
    "MultiOptimizer": {"optimizer_map": REQUIRED, "loss_scale_factor": None, "name": None},
    "Nadam": {"learning_rate": 0.001, **_BETAS, **_NO_DECAY, **_KERAS},
    "RMSprop": {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7}
    | {"centered": False, **_NO_DECAY, **_KERAS},
    "SGD": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False, **_NO_DECAY, **_KERAS},
    "ScheduleFreeAdamW": {"learning_rate": 0.0025, **_BETAS, "epsilon": 1e-8, "warmup_steps": 0}
    | {**_NO_DECAY, **_KERAS},
}  # fmt: skip

KERAS_SCHEDULES: dict[str, dict[str, Any]] = {
    "CosineDecay": {"initial_learning_rate": REQUIRED, "decay_steps": REQUIRED, "alpha": 0.0}
    | {"name": "CosineDecay", "warmup_target": None, "warmup_steps": 0},
    "CosineDecayRestarts": {"initial_learning_rate": REQUIRED, "first_decay_steps": REQUIRED}
    | {"t_mul": 2.0, "m_mul": 1.0, "alpha": 0.0, "name": "SGDRDecay"},
    "ExponentialDecay": {"initial_learning_rate": REQUIRED, "decay_steps": REQUIRED}
    | {"decay_rate": REQUIRED, "staircase": False, "name": "ExponentialDecay"},
    "InverseTimeDecay": {"initial_learning_rate": REQUIRED, "decay_steps": REQUIRED}
    | {"decay_rate": REQUIRED, "staircase": False, "name": "InverseTimeDecay"},
    "PiecewiseConstantDecay": {"boundaries": REQUIRED, "values": REQUIRED}
    | {"name": "PiecewiseConstant"},
    "PolynomialDecay": {"initial_learning_rate": REQUIRED, "decay_steps": REQUIRED}
    | {"end_learning_rate": 0.0001, "power": 1.0, "cycle": False, "name": "PolynomialDecay"},
}

_MLP: dict[str, Any] = {
    "hidden_layer_sizes": (100,), "activation": "relu", "solver": "adam", "alpha": 0.0001,
    "batch_size": "auto", "learning_rate": "constant", "learning_rate_init": 0.001,
    "power_t": 0.5, "max_iter": 200, "shuffle": True, "random_state": None, "tol": 1e-4,
    "verbose": False, "warm_start": False, "momentum": 0.9, "nesterovs_momentum": True,
    "early_stopping": False, "validation_fraction": 0.1, "beta_1": 0.9, "beta_2": 0.999,
    "epsilon": 1e-8, "n_iter_no_change": 10, "max_fun": 15000,
}  # fmt: skip

SKLEARN: dict[str, dict[str, Any]] = {
    "MLPClassifier": _MLP,
    "MLPRegressor": {"loss": "squared_error", **_MLP},
    "SGDOptimizer": {"learning_rate_init": 0.1, "lr_schedule": "constant", "momentum": 0.9}
    | {"nesterov": True, "power_t": 0.5},
    "AdamOptimizer": {"learning_rate_init": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
}

TABLES = {"torch": TORCH, "keras": KERAS, "sklearn": SKLEARN}

HOMES = {
    "torch": ("torch.optim",),
    "keras": ("keras.optimizers",),
    "sklearn": ("sklearn.neural_network", "sklearn.neural_network._stochastic_optimizers"),
}
"""Where a name may be said to live."""
