"""The HTTP filters in their order: a request walks down this list, its answer walks up. Pure.

The order is the point: docs/front-door.md gives the reason for each place.
"""

from typing import Any

from walletkit.front import edge, local_rate, names
from walletkit.front.authn import authentication
from walletkit.front.matching import unless_present, unless_well_formed
from walletkit.front.rpcs import SERVICES
from walletkit.front.settings import FrontSettings

Json = dict[str, Any]

MIN_COMPRESSED_BYTES = 256
"""Below it compressing costs more than it saves."""


def http_filters(settings: FrontSettings) -> list[Json]:
    """List the filters."""
    return [
        _health(),
        _request_id(),
        *([_plain(names.CORS, "cors.v3.Cors")] if settings.cors_origins else []),
        _compressor(),
        *local_rate.of_all(settings),
        *edge.known_keys(settings),
        *local_rate.of_credentials(settings),
        *edge.authorization(settings),
        authentication(settings),
        *edge.limit(settings),
        _plain("grpc_web", "grpc_web.v3.GrpcWeb"),
        _plain(names.BUFFER, "buffer.v3.Buffer", max_request_bytes=settings.max_body_bytes),
        _transcoder(settings),
        _plain("router", "router.v3.Router", suppress_envoy_headers=True),
    ]


def _plain(name: str, kind: str, **fields: object) -> Json:
    return {"name": name, "typed_config": {"@type": f"{names.TYPES}.filters.http.{kind}", **fields}}


def _health() -> Json:
    """Answer whether this Envoy takes calls: no longer once it was told to drain."""
    return _plain(
        "health",
        "health_check.v3.HealthCheck",
        pass_through_mode=False,
        headers=[
            {"name": ":path", "string_match": {"exact": names.HEALTH}},
            {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}},
        ],
    )


def _request_id() -> Json:
    """Replace a request id that is not well-formed: it is written to logs as it is."""
    mutation = {
        "append": {
            "header": {"key": names.REQUEST_ID, "value": "%UNIQUE_ID%"},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
    }
    return unless_well_formed(
        names.REQUEST_ID,
        names.REQUEST_ID_REGEX,
        _plain(
            "request_id",
            "header_mutation.v3.HeaderMutation",
            mutations={"request_mutations": [mutation]},
        ),
    )


def _compressor() -> Json:
    gzip = {
        "@type": f"{names.TYPES}.compression.gzip.compressor.v3.Gzip",
        "compression_level": "COMPRESSION_LEVEL_3",
        "memory_level": 5,
        "window_bits": 12,
    }
    return unless_present(
        names.NO_COMPRESSION,
        _plain(
            names.COMPRESSOR,
            "compressor.v3.Compressor",
            # By default what is text is compressed, which gRPC's answers are not.
            response_direction_config={
                "common_config": {"min_content_length": MIN_COMPRESSED_BYTES}
            },
            compressor_library={"name": "gzip", "typed_config": gzip},
        ),
    )


def _transcoder(settings: FrontSettings) -> Json:
    return _plain(
        names.TRANSCODER,
        "grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor=str(settings.descriptors.resolve()),
        services=list(SERVICES),
        convert_grpc_status=True,
        # Otherwise the filters before this one see no route, and each REST path would need two.
        match_incoming_request_route=True,
        # Only annotated calls: without this a plain POST to a gRPC path would be one, too.
        auto_mapping=False,
        # An alias of a wallet holds a slash, so a segment may hold an escaped one.
        url_unescape_spec="ALL_CHARACTERS",
        max_request_body_size=settings.max_body_bytes,
        request_validation_options={
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": False,
        },
        print_options={
            # A balance of 0 is told, not left out.
            "always_print_primitive_fields": True,
            "stream_newline_delimited": True,
        },
    )
