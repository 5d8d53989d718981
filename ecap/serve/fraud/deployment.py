from ecap.serve.deployment import bind

app = bind("fraud")
