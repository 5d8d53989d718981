from ecap.serve.fraud.routes import api
from ecap.serve.fraud.service import opened
from ecap.serve.replica.replica import Service

service = Service(api, opened)
