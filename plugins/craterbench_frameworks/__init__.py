"""The frameworks that train: Keras, its twin PyTorch, and scikit-learn, which is always there."""

from craterbench.plugin import ExportSpec, FrameworkSpec, hookimpl

_ONNX_USAGE = """\
import onnxruntime
network = onnxruntime.InferenceSession("FILE")
(probabilities,) = network.run(None, {"images": images})
"""

_TORCH_USAGE = """\
import torch
network = torch.export.load("FILE").module()
probabilities = network(torch.from_numpy(images)).numpy()
"""

_KERAS_USAGE = """\
import keras
network = keras.saving.load_model("FILE")
probabilities = network.predict(images, verbose=0)
"""


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
            exports=(
                ExportSpec(
                    name="keras",
                    summary="a model that Keras loads",
                    target="craterbench_frameworks.keras_export:export_keras",
                    suffix=".keras",
                    distributions=("keras", "tensorflow"),
                    usage=_KERAS_USAGE,
                ),
            ),
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
            exports=(
                ExportSpec(
                    name="onnx",
                    summary="an ONNX model, for ONNX Runtime and what else reads it",
                    target="craterbench_frameworks.onnx_export:export_onnx",
                    suffix=".onnx",
                    requires=("onnx", "onnxruntime", "onnxscript"),
                    extra="onnx",
                    distributions=("onnx", "onnxruntime", "onnxscript", "torch"),
                    usage=_ONNX_USAGE,
                ),
                ExportSpec(
                    name="torch",
                    summary="a graph that torch.export wrote, for PyTorch",
                    target="craterbench_frameworks.torch_export:export_torch",
                    suffix=".pt2",
                    distributions=("torch",),
                    usage=_TORCH_USAGE,
                ),
            ),
        ),
        FrameworkSpec(
            name="sklearn",
            summary="scikit-learn, a classifier of single pixels trained batch by batch",
            target="craterbench_frameworks.sklearn:SklearnSession",
            ignores_pixels=True,
        ),
    ]
