"""The frameworks that train: Keras, its twin PyTorch, and scikit-learn, which is always there."""

from craterbench.plugin import FrameworkSpec, hookimpl


@hookimpl
def bench_frameworks() -> list[FrameworkSpec]:
    return [
        FrameworkSpec(
            name="keras",
            summary="Keras 3 on TensorFlow",
            target="craterbench_frameworks.keras:KerasSession",
            ignores_pixels=True,
            precisions=("float32", "float64"),
            requires=("tensorflow", "keras"),
            extra="keras",
            distributions=("tensorflow", "keras"),
            environment={
                "KERAS_BACKEND": "tensorflow",
                "TF_CPP_MIN_LOG_LEVEL": "2",
                "TF_NUM_INTRAOP_THREADS": "{threads}",
                "TF_NUM_INTEROP_THREADS": "{threads}",
            },
        ),
        FrameworkSpec(
            name="torch",
            summary="PyTorch, with Keras' updates",
            version=2,  # since dropout is drawn by torch_dropout
            target="craterbench_frameworks.torch:TorchSession",
            ignores_pixels=True,
            precisions=("float32", "bfloat16", "float64"),
            requires=("torch",),
            extra="torch",
            distributions=("torch",),
        ),
        FrameworkSpec(
            name="sklearn",
            summary="scikit-learn, a classifier of single pixels trained batch by batch",
            target="craterbench_frameworks.sklearn:SklearnSession",
            ignores_pixels=True,
        ),
    ]
