"""Server reflection, version 1 and the older v1alpha; the same messages under two names."""

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection, reflection_pb2

SERVICE_V1 = "grpc.reflection.v1.ServerReflection"
SERVICE_V1ALPHA = reflection.SERVICE_NAME

_METHOD = "ServerReflectionInfo"
_FILE_V1 = "grpc/reflection/v1/reflection.proto"


def add_reflection(server: grpc.aio.Server, service_names: tuple[str, ...]) -> None:
    """Let callers ask for the descriptors of services, and of reflection itself."""
    _describe_v1(descriptor_pool.Default())
    names = (*service_names, SERVICE_V1, SERVICE_V1ALPHA)
    reflection.enable_server_reflection(names, server)
    servicer = reflection.aio.ReflectionServicer(names)
    request, response = reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo, request.FromString, response.SerializeToString
    )
    server.add_registered_method_handlers(SERVICE_V1, {_METHOD: handler})


def _describe_v1(pool: descriptor_pool.DescriptorPool) -> None:
    """Add the descriptor of version 1, which grpcio-reflection does not have, unless another package has."""
    try:
        pool.FindServiceByName(SERVICE_V1)
    except KeyError:
        file = descriptor_pb2.FileDescriptorProto()
        reflection_pb2.DESCRIPTOR.CopyToProto(file)
        file.name, file.package = _FILE_V1, "grpc.reflection.v1"
        for message in file.message_type:
            for field in (field for field in message.field if field.type_name):
                field.type_name = _of_v1(field.type_name)
        for method in file.service[0].method:
            method.input_type, method.output_type = _of_v1(method.input_type), _of_v1(method.output_type)
        pool.AddSerializedFile(file.SerializeToString())


def _of_v1(type_name: str) -> str:
    return type_name.replace(".grpc.reflection.v1alpha.", ".grpc.reflection.v1.")
