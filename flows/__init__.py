"""The lifecycle of a cluster, one flow a file, in the order a user meets them:

prerequisites → create → validate → deploy_apps → monitor → check_upgrade → upgrade → scale → hibernate → delete;
apply does whatever of these is missing; lifecycle does them all; maintenance and cleanup_idle run by schedule;
ephemeral answers events.
"""

from tasks.logs import plain_errors

plain_errors()  # before any flow: parameters are checked, and refused, before a line of ours runs
