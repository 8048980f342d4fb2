"""What a read-only UI lets through of GraphQL: queries. Dagster's own read-only mode stands behind it, and leaves holes
(1.13 asks no permission for `launchMultipleRuns` as such)."""

from __future__ import annotations

import json

from flicker_dagster.web.rules import Refusal


def refused_mutation(body: bytes) -> Refusal | None:
    """Why a GraphQL request is not handed on in read-only mode; None for one that only asks."""
    from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

    try:
        document = parse(json.loads(body)["query"])
    except (ValueError, LookupError, TypeError, AttributeError, GraphQLError, RecursionError):
        return Refusal(400, "GraphQL", 'the body is no GraphQL request; expected {"query": …, "variables": …} as JSON')
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if any(node.operation is OperationType.MUTATION for node in operations):
        return Refusal(403, "read-only", "this web UI is read-only (--read-only): it changes nothing")
    return None
