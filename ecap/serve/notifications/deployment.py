from ecap.serve.notifications.routes import api
from ecap.serve.notifications.service import opened
from ecap.serve.replica.replica import Service

service = Service(api, opened)
