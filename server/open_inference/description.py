"""Describes a model as the Open Inference Protocol, and Triton's own tools, want it."""

from collections.abc import Iterator, Sequence

from aisle_client.v1 import classifier_pb2
from model.product import FIELD_SPECS
from server.open_inference import open_inference_pb2 as pb
from server.open_inference.tensors import BYTES, FEATURES, FP32, IMAGE, OUTPUTS

_TYPES = {
    "BYTES": pb.TYPE_STRING,
    "FP32": pb.TYPE_FP32,
    "FP64": pb.TYPE_FP64,
    "INT32": pb.TYPE_INT32,
    "BOOL": pb.TYPE_BOOL,
}
_ANY = -1


def model_metadata(model: classifier_pb2.GetModelResponse, versions: Sequence[str]) -> pb.ModelMetadataResponse:
    """Describe the tensors of a model; its inputs are those that it reads, each of which may be left out.

    Args:
        model: as the contract describes it.
        versions: those that are loaded.
    """
    metadata = pb.ModelMetadataResponse(name=model.model, versions=versions, platform=f"aisle_{model.engine}")
    for name, datatype, width in _inputs(model):
        metadata.inputs.add(name=name, datatype=datatype, shape=[_ANY, width])
    for output in OUTPUTS:
        shape = [_ANY, _ANY] if output.is_matrix else [_ANY]
        metadata.outputs.add(name=output.name, datatype=output.datatype, shape=shape)
    return metadata


def model_config(model: classifier_pb2.GetModelResponse) -> pb.ModelConfigResponse:
    """Describe a model to Triton's own tools, which leave out the dimension of the products."""
    config = pb.ModelConfig(
        name=model.model,
        platform=f"aisle_{model.engine}",
        backend="aisle",
        max_batch_size=model.limits.max_products,
    )
    for name, datatype, width in _inputs(model):
        config.input.add(name=name, data_type=_TYPES[datatype], dims=[width], optional=True)
    for output in OUTPUTS:
        dims = [_ANY] if output.is_matrix else [1]
        config.output.add(name=output.name, data_type=_TYPES[output.datatype], dims=dims)
    return pb.ModelConfigResponse(config=config)


def _inputs(model: classifier_pb2.GetModelResponse) -> Iterator[tuple[str, str, int]]:
    """Name, type and width of each input that the model reads."""
    yield "product_id", BYTES, 1
    for spec in FIELD_SPECS:
        if spec.name in model.inputs:
            yield spec.column, BYTES, 1
            if spec.column == IMAGE:
                yield FEATURES, FP32, model.image_feature_dim
