"""What a manager does that concerns several stores: uploads, environments, workflows, snapshots."""
