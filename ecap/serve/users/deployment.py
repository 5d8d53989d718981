from ecap.config import load
from ecap.serve.deployment import bind
from ecap.serve.users.routes import api
from ecap.serve.users.service import opened

app = bind(api, opened, load(secrets=False))
