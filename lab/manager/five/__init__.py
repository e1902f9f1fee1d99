"""Generation 5 on a machine: `cfy_manager` of 5.1 - 7.0, databases, brokers, and managers over them.

`configuration` reads what a run is given and `validations` refuse it, `installer` runs, with
`database_run`, `broker_run` and `manager_run` for what each service does; `databases` and `brokers`
are the clusters of them, `tables` and `link` what the managers of one cluster share.
"""
