"""ministack, a stand-in for AWS whose stacks have outputs, roll back and import resources.

Run by the interpreter of `.venv-ministack`. It knows no metric math and fails a stack with such an alarm:
here the alarm watches its first metric alone. What alarms watch is for the tests that read the template.
"""

from typing import Any

from ministack.app import main
from ministack.services.cloudformation import provisioners

record_of_one_metric = provisioners._cw_metric_alarm_record


def record_of_first_metric(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    for query in properties.get("Metrics", []):
        if "MetricStat" in query:
            plain = {key: value for key, value in properties.items() if key != "Metrics"}
            return record_of_one_metric(name, plain | query["MetricStat"]["Metric"])
    return record_of_one_metric(name, properties)


if __name__ == "__main__":
    provisioners._cw_metric_alarm_record = record_of_first_metric
    main()
