# SPDX-License-Identifier: MIT
"""The test fleet: one topology file in, hosts behind real NATs out, and a literal Ansible inventory of them.

`python -m fleet up` makes it, `python -m fleet down` leaves nothing behind. What a topology is says `topology.py`; how
it becomes hosts is a provider's business (`provider.py`); roles and tests cannot tell which provider they run on.
"""


class FleetError(Exception):
    """What a person did or met that ends the run; one readable line, or several."""
