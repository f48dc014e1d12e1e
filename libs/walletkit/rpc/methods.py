"""What a method's handler is, and how another is made of it."""

from collections.abc import Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio

# Quoted: these types are generic for the checker only.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler = Callable[[Any, Any], Any]
Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


def rebuild(handler: Method, **behaviour: Handler) -> Method:
    """Return a handler of the same messages that does something else; named by its shape."""
    ((shape, call),) = behaviour.items()
    make = getattr(grpc, f"{shape}_rpc_method_handler")
    rebuilt: Method = make(
        call,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return rebuilt
