"""What the executors of clouds want otherwise than the rules say it. No rules here."""

from scripts.execution import pod_logs, requests

for each in workflow.rules:
    requests.translate(each, workflow)
pod_logs.read_failed_containers()
