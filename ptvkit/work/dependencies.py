"""Values that depend on keys of a request and on one another: each is worked out again only when what it reads changes.

What a node reads is declared once, and enforced: it sees the declared keys of the request alone, and the nodes that it
names. So a key that is forgotten in its declaration has no effect at all, instead of one that is sometimes missed.
"""

import hashlib
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ptvkit.request.keys import chosen
from ptvkit.request.request import Request
from ptvkit.work.workspace import CaseValues


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A value, and what it depends on.

    Attributes
    ----------
    make : callable
        From what it reads (`Reads`) to the value.
    keys : tuple of str
        Tables and dotted keys of the request.
    needs : tuple of str
        Names of other nodes.
    kept : int
        How many values are kept, for requests that come back.
    by_value : bool
        Nodes that need it depend on the value alone, not on what it was worked out from; for small values.
    """

    make: Callable[["Reads"], Any]
    keys: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    kept: int = 4
    by_value: bool = False


class Values:
    """Values of nodes that several requests share.

    Parameters
    ----------
    nodes : mapping of str to Node
    """

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes
        self.kept = {name: CaseValues(node.kept) for name, node in nodes.items()}

    def of(self, request: Request) -> "RequestValues":
        """The values of one request."""
        return RequestValues(self, request)


class RequestValues:
    """The values of one request, by the names of nodes; several threads may ask for them."""

    def __init__(self, values: Values, request: Request) -> None:
        self._values, self._request = values, request
        self._identities: dict[str, str] = {}

    def __getitem__(self, name: str) -> Any:
        node = self._values.nodes[name]
        return self._values.kept[name].get(self._inputs(name), lambda: node.make(Reads(self, name, node)))

    def request_for(self, node: Node) -> Request:
        """The request with the keys alone that a node reads."""
        content = chosen(self._request.content, node.keys)
        if any(key.startswith("targets.") for key in node.keys):
            content.setdefault("targets", {})
        return Request(content=content, source=self._request.source, labels=self._request.labels)

    def _inputs(self, name: str) -> str:
        """What a value is worked out from."""
        if name not in self._identities:
            node = self._values.nodes[name]
            own = json.dumps(chosen(self._request.content, node.keys), sort_keys=True)
            text = "\n".join([own, *(self._identity(one) for one in node.needs)])
            self._identities[name] = hashlib.sha256(text.encode()).hexdigest()
        return self._identities[name]

    def _identity(self, name: str) -> str:
        """What stands for a value in those that need it."""
        if not self._values.nodes[name].by_value:
            return self._inputs(name)
        return hashlib.sha256(pickle.dumps(self[name])).hexdigest()


class Reads:
    """What a node may read: its keys of the request, and the nodes that it names."""

    def __init__(self, values: RequestValues, name: str, node: Node) -> None:
        self._values, self._name, self._node = values, name, node

    @property
    def request(self) -> Request:
        """The request with the keys alone that were declared."""
        return self._values.request_for(self._node)

    def __getitem__(self, name: str) -> Any:
        if name not in self._node.needs:
            raise KeyError(f"{self._name} does not declare that it needs {name}")
        return self._values[name]
