"""What can be read: objects by id, lists, what stands under an object's address, and `expand`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from revenue.sandbox import expansion, objects, versions
from revenue.sandbox.accounts import ApiKey, Owner
from revenue.sandbox.errors import StripeError, missing
from revenue.sandbox.objects import StripeObject
from revenue.sandbox.parameters import FOREVER, integer, record
from revenue.sandbox.resources import BY_KIND, BY_PATH, EXPAND, NOT_CANCELED, Resource, indexed, matches, parameters_of
from revenue.sandbox.world import World

_EMBEDDED = 10


@dataclass(frozen=True)
class Call:
    """A request that was let in. `may` refuses what its key does not permit."""

    key: ApiKey
    version: str
    params: dict[str, Any]
    may: Callable[[tuple[str, ...]], None]

    @property
    def owner(self) -> Owner:
        return self.key.owner


Handler = Callable[[Call], StripeObject]
# What answers, and what a restricted key needs for it.
Route = tuple[Handler, tuple[str, ...]]


class Reads:
    def __init__(self, world: World) -> None:
        self._world = world

    def route(self, steps: list[str]) -> Route | None:
        """What answers GET /v1/…, or None when Stripe knows no such address."""
        match steps:
            case ["account"]:
                return self._account, ("rak_accounts_kyc_basic_read",)
            case ["balance"]:
                return self._balance, ("rak_balance_read",)
            case ["charges", charge_id, "refunds"]:
                return partial(self._list_of, "charge", charge_id, "refund"), ("rak_charge_read",)
            case ["checkout", "sessions", session_id, "line_items"]:
                return partial(self._line_items, session_id), BY_KIND["checkout.session"].permissions
            case [*path] if resource := BY_PATH.get("/".join(path)):
                return partial(self._list, resource), resource.permissions
            case [*path, object_id] if resource := BY_PATH.get("/".join(path)):
                return partial(self._retrieve, resource, object_id), resource.permissions
        return None

    def _account(self, call: Call) -> StripeObject:
        record(EXPAND)(call.params, "")
        account = self._world.accounts[call.owner.account_id]
        return objects.account(account.id, account.name, account.country, account.default_currency, account.created)

    def _balance(self, call: Call) -> StripeObject:
        record(EXPAND)(call.params, "")
        return self._world.balance(call.owner)

    def _retrieve(self, resource: Resource, object_id: str, call: Call) -> StripeObject:
        expand = paths_to_expand(record(EXPAND)(call.params, ""), resource.kind, call)
        item = self.existing(resource, object_id, call.owner, resource.param, 404)
        return self.expanded(self.rendered(item, call), expand, call)

    def _list_of(self, kind: str, object_id: str, listed: str, call: Call) -> StripeObject:
        """What belongs to one object, at an address under that object's own."""
        resource, inner = BY_KIND[kind], BY_KIND[listed]
        self.existing(resource, object_id, call.owner, resource.param, 404)
        url = f"/v1/{resource.path}/{object_id}/{inner.path}"
        return self._list(Resource(inner.path, inner.kind, inner.permissions), call, {kind: object_id}, url)

    def _line_items(self, session_id: str, call: Call) -> StripeObject:
        params = record({**EXPAND, "limit": integer(least=1, most=100)})(call.params, "")
        self.existing(BY_KIND["checkout.session"], session_id, call.owner, "session", 404)
        lines: StripeObject = self._world.session(session_id)["_"]["line_items"]
        limit = params.get("limit", 10)
        return {**lines, "data": lines["data"][:limit], "has_more": len(lines["data"]) > limit}

    def _list(
        self, resource: Resource, call: Call, within: Mapping[str, str] = MappingProxyType({}), url: str = ""
    ) -> StripeObject:
        """A page of a list; `within` are filters that stand in the address, which then is `url`."""
        params = record(parameters_of(resource))(call.params, "")
        expand = paths_to_expand(params, f"[{resource.kind}]", call)
        for one, other in (("starting_after", "ending_before"), ("type", "types")):
            if one in params and other in params:
                raise StripeError(400, f"You may only specify one of these parameters: {one}, {other}.", param=one)
        for cursor in ("starting_after", "ending_before"):
            if cursor in params:
                self.existing(resource, params[cursor], call.owner, cursor, 400)
        given = {**within, **{name: params[name] for name in resource.filters if name in params}}
        if resource.kind == "subscription" and "status" not in given:
            given["status"] = NOT_CANCELED
        page = self._world.page(
            call.owner,
            resource.kind,
            partial(matches, given),
            params.get("limit", 10),
            params.get("created", (0, FOREVER)),
            params.get("starting_after"),
            params.get("ending_before"),
            indexed(given),
        )
        data = [self.rendered(item, call) for item in page.data]
        return self.expanded(objects.listing(data, url or f"/v1/{resource.path}", page.has_more), expand, call)

    def rendered(self, item: StripeObject, call: Call) -> StripeObject:
        return versions.render(item, call.version, self._world.kept)

    def existing(self, resource: Resource, object_id: str, owner: Owner, param: str, status: int) -> StripeObject:
        item = self._world.find(owner, resource.kind, object_id)
        if item is not None:
            return item
        modes = ("live", "test") if owner.livemode else ("test", "live")
        other = self._world.find(Owner(owner.account_id, not owner.livemode), resource.kind, object_id)
        remark = (
            f"; a similar object exists in {modes[1]} mode, but a {modes[0]} mode key was used to make this request."
        )
        raise missing(resource.noun or resource.kind, object_id, param, status, remark if other else "")

    def expanded(self, item: StripeObject, paths: list[str], call: Call) -> StripeObject:
        for path in paths:
            item = expansion.expand(item, path.split("."), partial(self._behind, call))
        return item

    def _behind(self, call: Call, item: StripeObject, name: str, kinds: tuple[str, ...]) -> StripeObject | None:
        owner = call.owner
        match name:
            case "line_items":
                lines: StripeObject = self._world.session(item["id"])["_"]["line_items"]
                return lines
            case "refunds" | "payments":
                kind = "refund" if name == "refunds" else "invoice_payment"
                belongs = (item["object"], item["id"])
                page = self._world.page(owner, kind, lambda item: True, _EMBEDDED, among=belongs)
                return objects.listing(page.data, f"/v1/{item['object']}s/{item['id']}/{name}", page.has_more)
        identifier = item.get(name)
        if identifier is None:
            return None
        found = (self._world.find(owner, kind, identifier) for kind in kinds)
        return next((self.rendered(inner, call) for inner in found if inner is not None), None)


def paths_to_expand(params: dict[str, Any], kind: str, call: Call) -> list[str]:
    """What is to be expanded. It is checked before anything is done, for a refused request must have done nothing."""
    paths: list[str] = params.get("expand", [])
    for path in paths:
        for shown in sorted(expansion.check(path, kind)):
            call.may(BY_KIND[shown].permissions if shown in BY_KIND else ())
    return paths
