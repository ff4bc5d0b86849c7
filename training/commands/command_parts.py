"""Parts shared by the commands of `python -m training`."""

from typing import Annotated

import tyro

from model.settings import Settings

#: Settings whose flags have no prefix of their group.
FlatSettings = Annotated[Settings, tyro.conf.OmitArgPrefixes]
