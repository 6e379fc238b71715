"""The API of subscriptions: plans, prices, subscriptions, and the provider's webhook.

Every write goes through ``run_command``: one key, one decision, one frame. A subscription is
answered as it is once the command is durable; the provider is asked afterwards, and ``GET`` shows
what it said. Lists are in the order of creation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Annotated, Final, TypeVar

from litestar import Response, get, post
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.consent.subscriptions.model import (
    ID_PATTERN,
    Channel,
    Plan,
    PlanPrice,
    State,
    Subscription,
)
from ringwork.consent.subscriptions.notices import Notices
from ringwork.consent.subscriptions.requests import (
    LinkedAccount,
    NewPaymentMethod,
    NewSubscription,
    RefundOrdered,
)
from ringwork.consent.subscriptions.service import Subscriptions
from ringwork.consent.subscriptions.views import (
    NoticeTaken,
    PlanPrices,
    Plans,
    SubscriptionList,
    SubscriptionView,
)
from ringwork.consent.subscriptions.webhook import (
    BODY_MAX_BYTES,
    HEADER,
    check_signature,
    decode,
)
from ringwork.kernel.errors import NotFound
from ringwork.kernel.journal import Command, Journal
from ringwork.web.app import HttpRequest, header_of, principal_of, request_id, run_command
from ringwork.web.auth import needs
from ringwork.web.execute import Executor
from ringwork.web.openapi import described
from ringwork.web.problems import TooLarge

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "bad-signature": (401, "The notice is not signed by the payment provider."),
    "stale-signature": (401, "The notice was signed too long ago, or its clock is off."),
    "plan-exists": (409, "A plan with that id exists with other content."),
    "plan-price-exists": (409, "A price with that id exists with other content."),
    "subscription-exists": (409, "A subscription with that id exists with other content."),
    "no-payment-provider": (409, "No payment provider is set, so nothing can be sold."),
    "already-subscribed": (409, "The person has a running subscription of that plan."),
    "no-price": (409, "The plan has no price now for that region, channel and currency."),
    "nothing-to-refund": (409, "Nothing is left of what the present period cost."),
    "exceeds-paid": (409, "More would go back than is left of what was paid."),
    "subscription-ended": (409, "It has expired or was refunded; a new one can be taken."),
    "subscription-unpaid": (409, "It waits for a payment; link accounts when that is made."),
    "too-many-accounts": (409, "It has as many linked accounts as there may be."),
}
"""The part's own slugs: status, and when it is answered."""

TYPES: Final[tuple[type[Struct], ...]] = (
    Plan, Plans, PlanPrice, PlanPrices, NewSubscription, SubscriptionView, SubscriptionList,
    LinkedAccount, RefundOrdered, NewPaymentMethod, NoticeTaken,
)  # fmt: skip
"""Structs whose schemas the OpenAPI document takes from msgspec."""

SCANNED_MAX: Final = 20_000
"""Items looked at for one page: a rare filter gets short pages, not a long wait."""

READ: Final = needs("subscriptions:read")
WRITE: Final = needs("subscriptions:write")
PLANS: Final = needs("plans:write")
REFUND: Final = needs("subscriptions:refund")

PathId = Annotated[str, PathParameter(pattern=f"^{ID_PATTERN}$")]
After = Annotated[str, QueryParameter(pattern=r"^[0-9]{1,12}$", description="a cursor from `next`")]
Limit = Annotated[int, QueryParameter(ge=1, le=1000)]
IdFilter = Annotated[
    str, QueryParameter(pattern=f"^({ID_PATTERN})?$", description="only those of this one")
]
Pseudonym = Annotated[
    str | None,
    QueryParameter(pattern="^[0-9a-f]{32}$", description="only those of this pseudonym, in hex"),
]

_Item = TypeVar("_Item")


class SubscriptionsApi(Struct, frozen=True, kw_only=True):
    """Services, put together by the composition root."""

    subscriptions: Subscriptions
    notices: Notices
    journal: Journal
    execute: Executor
    tenant: str
    webhook_secrets: Sequence[bytes]
    webhook_tolerance_s: int

    async def page(
        self, items: Mapping[str, _Item], after: str, limit: int, keep: Callable[[_Item], bool]
    ) -> tuple[list[_Item], str | None]:
        """One page, durable, and the cursor of the next one; None at the end."""
        found, end = [], int(after)
        for item in islice(items.values(), end, end + SCANNED_MAX):
            end += 1
            if keep(item):
                found.append(item)
                if len(found) == limit:
                    break
        await self.journal.settled()
        return found, str(end) if end < len(items) else None

    def view(self, one: Subscription) -> SubscriptionView:
        """A subscription as it is answered."""
        return SubscriptionView.of(self.subscriptions.register, one)


def routes(api: SubscriptionsApi) -> list[ControllerRouterHandler]:
    """Every handler of subscriptions."""
    return [*_plans(api), *_reads(api), *_life(api), *_accounts(api), _webhook(api)]


def _plans(api: SubscriptionsApi) -> list[ControllerRouterHandler]:
    register = api.subscriptions.register

    @post("/v1/plans", opt={**PLANS, **described(Plan, key="optional")})
    async def define_plan(request: HttpRequest, data: JSONBody[Plan]) -> Response[bytes]:
        """Define a plan: its period, and the sites that it spares ads. It never changes."""

        def decide(command: Command) -> tuple[int, Struct]:
            is_new = api.subscriptions.define_plan(command, data, principal_of(request).key_id)
            return 201 if is_new else 200, data

        return await run_command(request, api.execute, decide)

    @get("/v1/plans", opt=READ)
    async def list_plans(after: After = "0", limit: Limit = 100) -> Plans:
        """Plans."""
        return Plans(*await api.page(register.plans, after, limit, lambda _: True))

    @post("/v1/plan-prices", opt={**PLANS, **described(PlanPrice, key="optional")})
    async def set_plan_price(request: HttpRequest, data: JSONBody[PlanPrice]) -> Response[bytes]:
        """Set what a plan costs in a region, channel and currency, for a while.

        A change is a new record: it ends an open one when it begins, from now on at the earliest.
        """

        def decide(command: Command) -> tuple[int, Struct]:
            is_new = api.subscriptions.set_price(command, data, principal_of(request).key_id)
            return 201 if is_new else 200, data

        return await run_command(request, api.execute, decide)

    @get("/v1/plan-prices", opt=READ)
    async def list_plan_prices(
        plan: IdFilter = "", after: After = "0", limit: Limit = 100
    ) -> PlanPrices:
        """Price records, past and future ones too."""
        found, end = await api.page(
            register.prices.by_id, after, limit, lambda one: plan in ("", one.price.plan)
        )
        return PlanPrices([one.price for one in found], end)

    @get("/v1/plan-prices/in-force", opt=READ)
    async def plan_price_in_force(
        plan: Annotated[str, QueryParameter(pattern=f"^{ID_PATTERN}$")],
        channel: Annotated[Channel, QueryParameter()],
        currency: Annotated[str, QueryParameter(pattern="^[A-Z]{3}$")],
        region: Annotated[str, QueryParameter(pattern=r"^(\*|[A-Z]{2}(-[A-Z0-9]{1,3})?)$")] = "*",
        at_us: Annotated[int, QueryParameter(ge=0, le=2**53 - 1)] = 0,
    ) -> PlanPrice:
        """What a plan costs now, or at a moment: the region's own price, or else that of `*`."""
        moment_us = at_us or api.journal.clock.wall_us()
        found = register.prices.in_force(plan, region, channel, currency, moment_us)
        if found is None:
            raise NotFound(f"plan {plan!r} has no price in force there and then")
        await api.journal.settled()
        return found.price

    return [define_plan, list_plans, set_plan_price, list_plan_prices, plan_price_in_force]


def _reads(api: SubscriptionsApi) -> list[ControllerRouterHandler]:
    register = api.subscriptions.register

    @get("/v1/subscriptions", opt=READ)
    async def list_subscriptions(
        state_: Annotated[
            State | None, QueryParameter(name="state", description="only those in this state")
        ] = None,
        plan: IdFilter = "",
        person: Pseudonym = None,
        after: After = "0",
        limit: Limit = 100,
    ) -> SubscriptionList:
        """Subscriptions; those of a person by the pseudonym that answers name."""
        items: Mapping[str, Subscription] = register.subscriptions
        if person is not None:
            ids = register.of_person.get(bytes.fromhex(person), {})
            items = {id: register.subscriptions[id] for id in ids}
        found, end = await api.page(
            items,
            after,
            limit,
            lambda one: state_ in (None, one.state) and plan in ("", one.plan),
        )
        return SubscriptionList([api.view(one) for one in found], end)

    @get("/v1/subscriptions/{subscription_id:str}", opt=READ)
    async def read_subscription(subscription_id: PathId) -> SubscriptionView:
        """A subscription as it is now."""
        one = api.subscriptions.one(subscription_id)
        await api.journal.settled()
        return api.view(one)

    return [list_subscriptions, read_subscription]


def _life(api: SubscriptionsApi) -> list[ControllerRouterHandler]:
    service = api.subscriptions

    @post("/v1/subscriptions", opt={**WRITE, **described(SubscriptionView, key="required")})
    async def subscribe(request: HttpRequest, data: JSONBody[NewSubscription]) -> Response[bytes]:
        """Subscribe a person. It is `pending` until the provider has the first payment."""

        def decide(command: Command) -> tuple[int, Struct]:
            one, is_new = service.subscribe(command, data, principal_of(request).key_id)
            return 201 if is_new else 200, api.view(one)

        return await run_command(request, api.execute, decide, key_required=True)

    @post(
        "/v1/subscriptions/{subscription_id:str}/cancel",
        status_code=200,
        opt={**WRITE, **described(SubscriptionView, key="optional")},
    )
    async def cancel_subscription(request: HttpRequest, subscription_id: PathId) -> Response[bytes]:
        """Cancel: it runs to the end of the period that is paid for. Never refused."""

        def decide(command: Command) -> tuple[int, Struct]:
            one = service.cancel(command, subscription_id, principal_of(request).key_id)
            return 200, api.view(one)

        return await run_command(request, api.execute, decide)

    @post(
        "/v1/subscriptions/{subscription_id:str}/refund",
        status_code=200,
        opt={**REFUND, **described(SubscriptionView, key="required")},
    )
    async def refund_subscription(
        request: HttpRequest, subscription_id: PathId, data: JSONBody[RefundOrdered]
    ) -> Response[bytes]:
        """Give back what the present period cost, or a part; it ends at once."""

        def decide(command: Command) -> tuple[int, Struct]:
            one = service.refund(
                command, subscription_id, amount_nanos=data.amount_nanos, reason=data.reason,
                actor=principal_of(request).key_id,
            )  # fmt: skip
            return 200, api.view(one)

        return await run_command(request, api.execute, decide, key_required=True)

    @post(
        "/v1/subscriptions/{subscription_id:str}/payment-method",
        status_code=200,
        opt={**WRITE, **described(SubscriptionView, key="optional")},
    )
    async def change_payment_method(
        request: HttpRequest, subscription_id: PathId, data: JSONBody[NewPaymentMethod]
    ) -> Response[bytes]:
        """Change how the subscriber pays; a declined renewal is tried again at once."""

        def decide(command: Command) -> tuple[int, Struct]:
            one = service.change_payment_method(
                command, subscription_id, data.payment_method, principal_of(request).key_id
            )
            return 200, api.view(one)

        return await run_command(request, api.execute, decide)

    return [subscribe, cancel_subscription, refund_subscription, change_payment_method]


def _accounts(api: SubscriptionsApi) -> list[ControllerRouterHandler]:
    service = api.subscriptions

    @post(
        "/v1/subscriptions/{subscription_id:str}/link",
        status_code=200,
        opt={**WRITE, **described(SubscriptionView, key="required")},
    )
    async def link_account(
        request: HttpRequest, subscription_id: PathId, data: JSONBody[LinkedAccount]
    ) -> Response[bytes]:
        """Let another account share the subscription, once its extra price is paid."""

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, api.view(service.link(command, subscription_id, data.person))

        return await run_command(request, api.execute, decide, key_required=True)

    @post(
        "/v1/subscriptions/{subscription_id:str}/unlink",
        status_code=200,
        opt={**WRITE, **described(SubscriptionView, key="optional")},
    )
    async def unlink_account(
        request: HttpRequest, subscription_id: PathId, data: JSONBody[LinkedAccount]
    ) -> Response[bytes]:
        """End an account's share, at once."""

        def decide(command: Command) -> tuple[int, Struct]:
            actor = principal_of(request).key_id
            return 200, api.view(service.unlink(command, subscription_id, data.person, actor))

        return await run_command(request, api.execute, decide)

    return [link_account, unlink_account]


def _webhook(api: SubscriptionsApi) -> ControllerRouterHandler:
    @post("/v1/payment-notices", status_code=200, opt={"open": True})
    async def take_payment_notice(request: HttpRequest) -> NoticeTaken:
        """The payment provider's webhook. It is signed: no API key goes with it."""
        body = await request.body()
        if len(body) > BODY_MAX_BYTES:
            raise TooLarge(BODY_MAX_BYTES)
        check_signature(
            header_of(request, HEADER.encode()),
            body,
            secrets=api.webhook_secrets,
            now_s=api.journal.clock.wall_us() // 1_000_000,
            tolerance_s=api.webhook_tolerance_s,
        )
        notice = decode(body)
        with api.journal.command(tenant=api.tenant, request_id=request_id(request)) as command:
            outcome = api.notices.take(command, notice)
            if command.recorded:
                command.commit()
        await api.journal.settled()
        return NoticeTaken(outcome)

    return take_payment_notice
