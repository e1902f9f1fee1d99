"""What a manager refuses, with the code and the status it uses on the wire.

Codes and statuses are those of manager-rest (`manager_exceptions`), as the product's reference
lists them; the message is for people.
"""

from __future__ import annotations


class ManagerError(Exception):
    """A refusal; on the wire `{message, error_code, server_traceback}`."""

    status = 500
    code = "internal_server_error"

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None):
        super().__init__(message)
        self.message = message
        self.status = self.status if status is None else status
        self.code = self.code if code is None else code


class BadParametersError(ManagerError):
    status, code = 400, "bad_parameters_error"


class ConflictError(ManagerError):
    status, code = 409, "conflict_error"


class NotFoundError(ManagerError):
    status, code = 404, "not_found_error"


class UnauthorizedError(ManagerError):
    status, code = 401, "unauthorized_error"


class ForbiddenError(ManagerError):
    status, code = 403, "forbidden_error"


class IllegalActionError(ManagerError):
    status, code = 400, "illegal_action_error"


class MissingPremiumPackageError(ManagerError):
    status, code = 404, "missing_premium_package_error"

    def __init__(self) -> None:
        super().__init__(
            "This feature exists only in the premium edition of Cloudify.\n"
            "Please contact sales@cloudify.co for additional info."
        )


class NotClusterMasterError(ManagerError):
    status, code = 400, "not_cluster_master"

    def __init__(self) -> None:
        super().__init__("This node is not the cluster master")


class RemovedFromClusterError(ManagerError):
    status, code = 400, "removed_from_cluster"

    def __init__(self) -> None:
        super().__init__("This node was removed from the cluster")


class NoSuchIncludeFieldError(ManagerError):
    status, code = 400, "no_such_include_field_error"


class InvalidBlueprintError(ManagerError):
    status, code = 400, "invalid_blueprint_error"


class InvalidPluginError(ManagerError):
    status, code = 400, "invalid_plugin_error"


class PluginInUseError(ManagerError):
    status, code = 405, "plugin_in_use"


class DependentExistsError(ManagerError):
    status, code = 400, "dependent_exists_error"


class MissingRequiredInputError(ManagerError):
    status, code = 400, "missing_required_deployment_input_error"


class UnknownInputError(ManagerError):
    status, code = 400, "unknown_deployment_input_error"


class DeploymentCreationError(ManagerError):
    status, code = 400, "deployment_creation_error"


class EnvironmentPendingError(ManagerError):
    status, code = 400, "deployment_environment_creation_pending_error"


class EnvironmentInProgressError(ManagerError):
    status, code = 400, "deployment_environment_creation_in_progress_error"


class ExistingRunningExecutionError(ManagerError):
    status, code = 400, "existing_running_execution_error"


class NonexistentWorkflowError(ManagerError):
    status, code = 400, "nonexistent_workflow_error"


class IllegalExecutionParametersError(ManagerError):
    status, code = 400, "illegal_execution_parameters_error"


class SnapshotActionError(ManagerError):
    status, code = 400, "snapshot_action_error"


class MaintenanceActiveError(ManagerError):
    status, code = 503, "maintenance_mode_active"


class MaintenanceActivatingError(ManagerError):
    status, code = 503, "entering_maintenance_mode"


class UnsupportedContentTypeError(ManagerError):
    status, code = 415, "unsupported_content_type_error"


class NotModifiedError(ManagerError):
    """304: it already is so; a 304 has no body."""

    status, code = 304, "not_modified"
