"""Which command of README.md and docs/runbook.md is run where. One that stands nowhere here fails a test.

The texts are those of the documents, to the letter; what a reader puts in the place of a word is put there
by the tests. Two limits are to be known. The manager of the lab that is Tier 2 in `ON_A_MANAGER` judges
commands, inputs and parameters, and only pretends to run the workflows; what these do is what the scenarios
show in the local profile. And of `TAKEN_BY_CFY` no more is shown than that there is such a command with such
options: the lab's manager does not do what they ask for.
"""

from __future__ import annotations

# By the real cfy against a manager of the lab, in this order; see test_on_a_manager.py.
ON_A_MANAGER = (
    "cp sample_inputs.yaml inputs.yaml",
    "cfy plugins upload WAGON_URL -y YAML_URL",
    "cfy plugins upload dist/cmom-*.wgn -y plugins/cmom/plugin.yaml",
    "cfy install blueprint.yaml -b tier1 -d tier1 -i inputs.yaml",
    "cfy deployments outputs tier1",
    "cfy executions start get_status -d tier1",
    "cfy executions start scale -d tier1 -p scalable_entity_name=manager_group -p delta=1",
    "cfy executions start install -d tier1",
    "cfy executions start add_resources -d tier1 -p resources.yaml",
    "cfy executions start execute_workflow -d tier1 -p workflow_id=install -p deployment_id=shop",
    "cfy node-instances list -d tier1",
    "cfy executions start heal_tier1_manager -d tier1 -p node_instance_id=manager_abc123",
    "cfy executions start pause_healing -d tier1 -p duration_seconds=7200 -p reason='new switches'",
    "cfy executions start resume_healing -d tier1",
    "cfy executions start backup -d tier1",
    "cfy executions start backup -d tier1 -p parameters.yaml",
    "cfy executions start list_backups -d tier1",
    "cfy executions start verify_backups -d tier1",
    "cfy secrets update tier1_admin_password -f FILE",
    "cfy executions list -d tier1",
    "cfy events list ID",
    "cfy uninstall tier1 -p ignore_failure=true",
    "cfy install hosts_blueprint.yaml -b tier1 -i inputs.yaml",
    "cfy uninstall tier1",
    "cfy install hosts_blueprint.yaml -b tier1 -d tier1 -i inputs.yaml",
    "cfy install hosts_blueprint.yaml -b tier1-new -d tier1-new -i inputs.yaml",
    "cfy executions start transfer_agents -d tier1-new",
    "cfy cluster update-profile",
    "cfy cluster brokers add NAME ADDRESS",
    "cfy cluster brokers remove NAME",
)

# The same, as far as the command line goes: the real cfy takes it, and the lab's manager refuses it.
TAKEN_BY_CFY = (
    "cfy executions cancel ID",
    "cfy executions cancel --force ID",
    "cfy cluster remove NAME",
    'cfy deployments schedule create tier1 backup -n nightly --since "2030-01-01 02:00" --recurrence "1 day"',
    "cfy deployments update tier1 -i changes.yaml --skip-reinstall",
    "cfy plugins update tier1 --plugin-name cmom",
)

# By the real cfy and its real engine on machines of the lab; see test_in_the_local_profile.py.
IN_THE_LOCAL_PROFILE = (
    "cfy install hosts_blueprint.yaml -b tier1 -i inputs.yaml --task-thread-pool-size 8",
    "cfy executions start install -b tier1 --task-retries 5 --task-thread-pool-size 8",
    "cfy node-instances -b tier1",
    "cfy executions start heal_tier1_manager -b tier1 --task-retries 60 --task-retry-interval 15 "
    "-p node_instance_id=manager_abc123",
    "cfy uninstall -b tier1 -p ignore_failure=true",
)

# By make, in a copy of the project; see test_demo.py.
BY_MAKE = ("make demo", "make demo-down")
DEMO = ("cfy deployments outputs -b demo",)

# Told by make what it would run (make -n): each takes minutes, or is the run of these tests itself.
TOLD_BY_MAKE = (
    "make bench",
    "make demo GENERATION=5",
    "make demo-heal",
    "make demo-meta",
    "make demo-second-death",
    "make soak",
    "make test",
    "make wagon",
)

# Run by another test: its file, its name, and what of the command stands in that file.
ELSEWHERE = {
    "cmom-monitor --config FILE": (
        "tests/lab/test_monitor_program.py",
        "test_it_serves_its_page_and_its_metrics",
        'running(watched, tmp_path, "--dry-run"',
    ),
    "cmom-monitor --config FILE --once": (
        "tests/lab/test_monitor_program.py",
        "test_once_looks_at_everybody_once_and_tells",
        'run("--config", config, "--once")',
    ),
    "systemctl restart cmom-monitor": (
        "tests/unit/cmom/monitor/test_unit_file.py",
        "test_it_starts_the_program_with_the_configuration_that_it_looks_for",
        "cmom-monitor.service",
    ),
    "sudo cfy_manager restart": (
        "tests/scenarios/test_heal_hosts.py",
        "test_services_that_are_down_on_a_machine_that_lives_are_restarted_and_never_more",
        "restart_services",
    ),
    **{
        f"sudo cfy_manager {words} -c /etc/cloudify/cmom-{service}.yaml": (
            "tests/lab/test_cluster5_changes.py",
            "test_services_are_restarted_by_their_own_configuration_and_not_by_the_default_one",
            f'"{words}", "-c", {service.upper()}',
        )
        for words, service in (("start", "database"), ("restart", "manager"))
    },
}
_REPLACED = (
    "tests/lab/test_cluster5_changes.py",
    "test_a_dead_member_makes_it_degraded_and_is_replaced_step_by_step",
)
ELSEWHERE |= {
    "cfy_manager dbs list -c /etc/cloudify/cmom-database.yaml": (*_REPLACED, '"dbs", "list", "-c"'),
    "cfy_manager dbs remove -a ADDRESS -c /etc/cloudify/cmom-database.yaml": (
        *_REPLACED,
        '"dbs", "remove", "-a", cluster.ip("m1"), "-c"',
    ),
    "cfy_manager dbs set-master -a ADDRESS -c /etc/cloudify/cmom-database.yaml": (
        "tests/lab/test_cluster5_changes.py",
        "test_the_database_that_leads_is_handed_over_before_it_is_removed",
        '"dbs", "set-master", "-a", cluster.ip("m3"), "-c"',
    ),
    "cfy_manager dbs add -a ADDRESS -c /etc/cloudify/cmom-manager.yaml": (*_REPLACED, '"dbs", "add", "-a"'),
    "cfy_manager brokers list -c /etc/cloudify/cmom-broker.yaml": (*_REPLACED, '"brokers", "list", "-c"'),
    "cfy_manager brokers remove -r NAME -c /etc/cloudify/cmom-broker.yaml": (
        *_REPLACED,
        '"brokers", "remove", "-r", cluster.host("m1"), "-c"',
    ),
}

# What pip is told is compared with what is installed here; installing takes a minute, and a package index.
TOLD_TO_PIP = (
    "pip install cloudify==7.0.5 'setuptools<80' ./plugins/cmom",
    "pip install --upgrade ./plugins/cmom",
)

# Of the command line of 4.3 - 4.6, which is not to be had any more; the lab answers the call behind it.
GONE = ("cfy cluster nodes remove",)

EVERYWHERE = (
    *ON_A_MANAGER,
    *TAKEN_BY_CFY,
    *IN_THE_LOCAL_PROFILE,
    *BY_MAKE,
    *DEMO,
    *TOLD_BY_MAKE,
    *ELSEWHERE,
    *TOLD_TO_PIP,
    *GONE,
)
