"""Prepare Superset's own database: schema, roles, the two accounts. Run by Superset's Python.

Safe to repeat. Reads DISCOVER_SUPERSET_ADMIN_PASSWORD and DISCOVER_SUPERSET_SERVICE_PASSWORD beside
what superset_config.py reads. One process for all of it: importing Superset costs more than this.
"""

import os

from flask_migrate import upgrade
from superset.app import create_app

GUEST_PERMISSIONS = [
    ("can_read", "Dashboard"),
    ("can_read", "Chart"),
    ("can_dashboard", "Superset"),
    ("can_explore_json", "Superset"),
    ("can_log", "Superset"),
    ("can_read", "DashboardFilterStateRestApi"),
    ("can_write", "DashboardFilterStateRestApi"),
    # What it may read there is a CSRF token, without which it can't write its filters.
    ("can_read", "SecurityRestApi"),
    ("can_read", "DashboardPermalinkRestApi"),
    ("can_time_range", "Api"),
    ("can_query", "Api"),
    ("can_query_form_data", "Api"),
    ("can_read", "EmbeddedDashboard"),
    ("can_read", "CurrentUserRestApi"),
    ("can_read", "Theme"),
    ("can_read", "CssTemplate"),
]
SERVICE_PERMISSIONS = [
    ("can_grant_guest_token", "SecurityRestApi"),
    ("can_read", "SecurityRestApi"),
    ("can_time_range", "Api"),
]


def set_role(manager, name, permissions):
    """The role with exactly these permissions; those that this Superset lacks are left out."""
    role = manager.add_role(name)
    found = (manager.find_permission_view_menu(*pair) for pair in permissions)
    role.permissions = [permission for permission in found if permission]
    manager.session.commit()
    return role


def set_user(manager, name, role, password):
    """The account with this role and password, made or brought up to date."""
    user = manager.find_user(username=name)
    if user is None:
        user = manager.add_user(name, name, "account", f"{name}@localhost", role, password=password)
        if not user:
            raise RuntimeError(f"could not make the account {name}")
        return
    user.roles = [role]
    manager.update_user(user)
    manager.reset_password(user.id, password)


def main():
    """Bring schema, permissions, roles and accounts up to date."""
    app = create_app()
    with app.app_context():
        from superset.extensions import appbuilder

        upgrade()
        manager = appbuilder.sm
        appbuilder.add_permissions(update_perms=True)
        manager.sync_role_definitions()
        set_role(manager, "EmbedGuest", GUEST_PERMISSIONS)
        service = set_role(manager, "EmbedService", SERVICE_PERMISSIONS)
        admin_password = os.environ["DISCOVER_SUPERSET_ADMIN_PASSWORD"]
        service_password = os.environ["DISCOVER_SUPERSET_SERVICE_PASSWORD"]
        set_user(manager, "admin", manager.find_role("Admin"), admin_password)
        set_user(manager, "embed", service, service_password)


if __name__ == "__main__":
    main()
