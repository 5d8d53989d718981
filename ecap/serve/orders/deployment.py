from ecap.config import load
from ecap.serve.deployment import bind
from ecap.serve.orders.routes import api
from ecap.serve.orders.service import opened

app = bind(api, opened, load(secrets=False))
