from ecap.serve.analytics.routes import api
from ecap.serve.analytics.service import opened
from ecap.serve.replica.replica import Service

service = Service(api, opened)
