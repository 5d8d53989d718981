from ecap.config import load
from ecap.serve.catalog.routes import api
from ecap.serve.catalog.service import opened
from ecap.serve.deployment import bind

app = bind(api, opened, load(secrets=False))
