"""resource-tracker on a command: starts it and follows it and its children. Arguments: seconds between ticks, file, command."""

import subprocess
import sys

from resource_tracker import ProcessTracker

child = subprocess.Popen(sys.argv[3:])
ProcessTracker(pid=child.pid, interval=float(sys.argv[1]), children=True, output_file=sys.argv[2])
