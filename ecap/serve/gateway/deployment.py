from ecap.serve.gateway.routes import api
from ecap.serve.gateway.service import opened
from ecap.serve.replica.replica import Service

service = Service(api, opened)
