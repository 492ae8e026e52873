"""The extension for tasks of revision 2026-07-28, for the client of the Python SDK: a call that is answered with a task is answered when the task is over."""

import asyncio
from typing import Any, Literal

import mcp_types as types
from mcp import MCPError
from mcp.client.extension import ClientExtension, ResultClaim
from pydantic import Field


class Task(types.Result):
    """What is said of a task, as the extension's schema has it."""

    task_id: str = Field(alias="taskId")
    status: Literal["working", "input_required", "completed", "failed", "cancelled"]
    status_message: str | None = Field(default=None, alias="statusMessage")
    created_at: str = Field(alias="createdAt")
    last_updated_at: str = Field(alias="lastUpdatedAt")
    ttl_ms: int | None = Field(alias="ttlMs")
    poll_interval_ms: int | None = Field(default=None, alias="pollIntervalMs")


class Created(Task):
    result_type: Literal["task"] = Field(alias="resultType")


class Told(Task):
    result_type: Literal["complete"] = Field(alias="resultType")
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class GetParams(types.RequestParams):
    task_id: str = Field(serialization_alias="taskId")


class Get(types.Request[GetParams, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    params: GetParams


class Tasks(ClientExtension):
    """Declares the extension, and asks about each task until it is over."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self):
        self.told = []

    def claims(self):
        return [ResultClaim(result_type="task", model=Created, resolve=self.resolve)]

    async def resolve(self, created, context):
        self.told.append(created)
        while (told := await context.session.send_request(Get(params=GetParams(task_id=created.task_id)), Told)).status == "working":
            self.told.append(told)
            await asyncio.sleep(told.poll_interval_ms / 1000)
        self.told.append(told)
        if told.status != "completed":
            raise MCPError(**(told.error or {"code": 0, "message": told.status}))
        return types.CallToolResult.model_validate(told.result)
