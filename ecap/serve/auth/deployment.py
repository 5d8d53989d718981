from ecap.serve.auth.routes import api
from ecap.serve.auth.service import opened
from ecap.serve.replica.replica import Service

service = Service(api, opened)
