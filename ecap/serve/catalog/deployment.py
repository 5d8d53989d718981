from ecap.serve.catalog.routes import api
from ecap.serve.catalog.service import opened
from ecap.serve.replica.replica import Service

service = Service(api, opened)
