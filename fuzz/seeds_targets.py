# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Seeds of the fuzz targets that don't take conversations. (Those of `request` and `session` are
made out of the conversations by each build.)"""


def seeds():
    return []
