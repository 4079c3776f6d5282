# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bodies of requests: OpenAI's fields and upstream's extensions. Unknown fields are refused, as upstream does."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from .versions import Version


class Strict(BaseModel):
    # several names of fields begin with model_
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class StreamOptions(Strict):
    include_usage: bool | None = True
    continuous_usage_stats: bool | None = True


class ResponseFormat(Strict):
    """`json_schema` is the schema itself: in OpenAI's wrapper it is not seen."""

    type: str
    json_schema: dict[str, Any] | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    regex: str | None = None
    ebnf: str | None = None
    structures: list[dict[str, Any]] | None = None
    triggers: list[str] | None = None


class Sampled(Strict):
    """The fields that both kinds of request have."""

    model: str
    best_of: int | None = None
    frequency_penalty: float | None = 0.0
    logit_bias: dict[str, float] | None = None
    n: int = 1
    presence_penalty: float | None = 0.0
    response_format: ResponseFormat | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None
    use_beam_search: bool = False
    top_k: int = 0
    top_p_min: float = 0.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    length_penalty: float | None = None
    early_stopping: bool | Literal["never"] | None = None
    stop_token_ids: list[int] | None = None
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    min_tokens: int = 0
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    truncate_prompt_tokens: Annotated[int, Field(ge=1)] | None = None
    prompt_ignore_length: int | None = 0
    lora_request: dict[str, Any] | None = None
    disaggregated_params: dict[str, Any] | None = None
    conversation_params: dict[str, Any] | None = None
    thinking_token_budget: int | None = None
    priority: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _check(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if data.get("stream_options") and not data.get("stream"):
            raise ValueError("Stream options can only be defined when stream is true.")
        if data.get("suffix"):
            raise ValueError("suffix is not supported")
        return data


class CompletionRequest(Sampled):
    prompt: list[int] | list[list[int]] | str | list[str]
    echo: bool | None = False
    logprobs: Annotated[int, Field(ge=0)] | None = None
    max_tokens: int | None = None
    suffix: str | None = None
    return_context_logits: bool = False
    detokenize: bool = True
    add_special_tokens: bool = True

    @property
    def most_likely(self) -> int | None:
        return self.logprobs

    @property
    def prompts(self) -> list[str] | list[list[int]]:
        """One prompt is a list of one."""
        prompt: Any = self.prompt
        return [prompt] if isinstance(prompt, str) or (prompt and isinstance(prompt[0], int)) else prompt


class FunctionDefinition(Strict):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Strict):
    type: Literal["function"] = "function"
    function: FunctionDefinition


class NamedFunction(Strict):
    name: str


class NamedTool(Strict):
    type: Literal["function"] = "function"
    function: NamedFunction


class ChatRequest(Sampled):
    messages: list[dict[str, Any]]
    prompt_token_ids: list[int] | None = None
    prompt_token_ids_b64: str | None = None
    logprobs: bool | None = False
    top_logprobs: int | None = 0
    # both names in one request is an error, because the second one is an unknown field
    max_tokens: int | None = Field(default=None, validation_alias=AliasChoices("max_completion_tokens", "max_tokens"))
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto"] | NamedTool | None = "none"
    reasoning_effort: Literal["low", "medium", "high"] | None = "low"
    echo: bool = False
    add_generation_prompt: bool = True
    add_special_tokens: bool = False
    documents: list[dict[str, str]] | None = None
    chat_template: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    media_io_kwargs: dict[str, Any] | None = None
    mm_processor_kwargs: dict[str, Any] | None = None
    agent_hierarchy: Any = None
    cache_salt: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _check_chat(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if data.get("top_logprobs") and not data.get("logprobs"):
            raise ValueError("logprobs must be true when using top_logprobs")
        if data.get("tools") and "tool_choice" not in data:
            return {**data, "tool_choice": "auto"}
        return data

    @property
    def most_likely(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None


def request_model(kind: type[Sampled], version: Version) -> type[Sampled]:
    """The model without the fields that later versions added."""
    later = frozenset(version["later_request_fields"])

    class OfVersion(kind):  # type: ignore[misc,valid-type]
        @model_validator(mode="before")
        @classmethod
        def _check_version(cls, data: Any) -> Any:
            for name in later & set(data if isinstance(data, dict) else ()):
                raise PydanticCustomError("extra_forbidden", "Extra inputs are not permitted: {name}", {"name": name})
            return data

    OfVersion.__name__ = OfVersion.__qualname__ = kind.__name__
    return OfVersion
