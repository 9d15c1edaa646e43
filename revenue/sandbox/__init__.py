"""A stand-in Stripe on one machine: checkout, charges, refunds, disputes and balances, over real HTTP.

    http -> api, checkout -> world -> payments -> objects

`world` keeps the state and the time, `payments` says what an act changes (pure), `objects` knows the shape
of each object (pure), `api` answers /v1 as Stripe would, `checkout` is the page where a buyer pays, `http`
listens. Standard library only, nothing of Django and nothing else of this product, so that what it proves
about the product does not rest on the product's own code.
"""
