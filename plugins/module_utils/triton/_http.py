# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A client for Triton's HTTP endpoint."""

from __future__ import annotations

import json
import typing as t
from http import HTTPStatus
from urllib.parse import quote

from ansible_collections.tritonops.trtllm.plugins.module_utils.release._http import HttpClient, without_error


class TritonClient(HttpClient):
    def is_live(self) -> bool:
        return self.status("/v2/health/live") == HTTPStatus.OK

    def is_ready(self) -> bool:
        return self.status("/v2/health/ready") == HTTPStatus.OK

    def is_model_ready(self, model: str) -> bool:
        return self.status(f"/v2/models/{quote(model, safe='')}/ready") == HTTPStatus.OK

    def server(self) -> dict[str, t.Any]:
        return self.json("GET", "/v2")

    def index(self) -> list[dict[str, t.Any]]:
        """All models in the repository, including those that are not loaded."""
        return self.json("POST", "/v2/repository/index", body={})

    def metadata(self, model: str) -> dict[str, t.Any]:
        return self.json("GET", f"/v2/models/{quote(model, safe='')}")

    def generate(self, model: str, body: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        path = f"/v2/models/{quote(model, safe='')}/generate"
        return self.json("POST", path, body=body, timeout=self.deadline.timeout(self.deadline.seconds))

    def generate_stream(self, model: str, body: t.Mapping[str, t.Any]) -> t.Iterator[dict[str, t.Any]]:
        """The server-sent events, as they arrive."""
        for data in self.events(f"/v2/models/{quote(model, safe='')}/generate_stream", body):
            yield without_error(json.loads(data), HTTPStatus.OK)
