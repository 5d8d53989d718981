from ecap.serve.orders.routes import api
from ecap.serve.orders.service import opened
from ecap.serve.replica.replica import Service

service = Service(api, opened)
