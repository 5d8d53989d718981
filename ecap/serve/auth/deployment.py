from ecap.config import load
from ecap.serve.auth.routes import api
from ecap.serve.auth.service import opened
from ecap.serve.deployment import bind

app = bind(api, opened, load(secrets=False))
