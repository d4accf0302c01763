"""What a model sends, against what a tool takes: strict about names, lenient about types.

Each tool's arguments are a pydantic model: it makes the schema that is published, and
reads what is sent. An argument that is dropped in silence is a wrong answer later, so an
unknown one is refused, with what does it instead. A number sent as text is a number.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    create_model,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from sandbox_ops.errors import UsageError
from sandbox_ops.text import argument_advice, lenient

_SHOWN = 80
_MOST_NAMES = 8

# For types that are made while the program runs, which mypy cannot know.
_Annotated: Any = Annotated
_Literal: Any = Literal
_Tuple: Any = tuple


class _Schema(GenerateJsonSchema):
    """JSON Schema in few words: every one is paid for in every conversation."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if not schema.get("default"):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002
        return False


class ToolArguments(BaseModel):
    """A tool: what it is called, what models read about it, and what it takes.

    Attributes:
        tool_name: As hosts list it.
        title: For people.
        words: For models.
        reads_only: Whether it changes nothing, so that hosts may run it in parallel and
            a user may allow it for good.
        destructive: Whether it can undo or end what is there.
        action: What the library calls it: a machine's mode allows it or not.
        on_words: What models read about `on`; None: it is about one machine.
        at_once: Whether the library does it for several machines in one call.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    tool_name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    words: ClassVar[str] = ""
    reads_only: ClassVar[bool] = False
    destructive: ClassVar[bool] = False
    action: ClassVar[str] = ""
    on_words: ClassVar[str | None] = ""
    at_once: ClassVar[bool] = False

    @property
    def names(self) -> tuple[str, ...]:
        """What names the jobs that it is about."""
        return tuple(filter(None, (self.asked_for("bash_id"),)))

    def asked_for(self, name: str) -> str:
        """Return an argument that not every tool has; "" where it has none."""
        return getattr(self, name, "")

    def about(self, jobs: Sequence[str]) -> Self:
        """Return the same about these jobs, where it is about jobs."""
        update = {"bash_id": ",".join(jobs)} if jobs else {}
        return self.model_copy(update=update)

    @classmethod
    def with_sandboxes(cls, names: tuple[str, ...]) -> type[Self]:
        """Return the tool with `sandbox` and `on`, where there is a choice."""
        return cast("type[Self]", _with_choice(cls, names)) if len(names) > 1 else cls

    @classmethod
    def input_schema(cls, project: str) -> dict[str, Any]:
        """Return the arguments as JSON Schema.

        Args:
            project: Where the project lies on the machine.
        """
        schema = cls.model_json_schema(schema_generator=_Schema)
        schema.pop("description", None)
        del schema["title"]
        for field in schema.get("properties", {}).values():
            if "description" in field:
                template = field["description"]
                field["description"] = template.replace("{project}", project)
        return schema

    @classmethod
    def read(cls, sent: Mapping[str, object]) -> Self:
        """Return the arguments that were sent.

        Raises:
            UsageError: One is unknown, missing or of the wrong type; names it.
        """
        known = list(cls.model_fields)
        for name, value in sent.items():
            if name not in known and value is not None:
                raise UsageError(
                    f"{cls.tool_name} has no argument `{name[:_SHOWN]}`",
                    *argument_advice.on(name, value, known),
                    f"It takes {', '.join(known)}.",
                )
        try:
            return cls.model_validate(dict(sent))
        except ValidationError as problem:
            error = problem.errors(include_url=False)[0]
        name = str(error["loc"][0])
        if error["type"] == "missing":
            raise UsageError(f"{cls.tool_name} needs the argument `{name}`")
        shown = f"{sent.get(name)!r:.{_SHOWN}}"
        raise UsageError(f"`{name}` must be {error['msg']}, not {shown}")

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, sent: dict[str, object]) -> dict[str, object]:
        """Take null for absent, and so an empty text where no text is wanted."""
        fields = cls.model_fields
        texts = {name for name, field in fields.items() if field.annotation is str}
        return {
            name: value
            for name, value in sent.items()
            if value is not None and (value != "" or name in texts)
        }


@functools.cache
def _with_choice(
    tool: type[ToolArguments], names: tuple[str, ...]
) -> type[ToolArguments]:
    """Add the arguments. The schema of one tool alone has the names: each costs tokens."""
    rule = _Must(f"one of {', '.join(names)}")
    known = _Annotated[_Literal[names], rule, WithJsonSchema({"type": "string"})]
    few = ", ".join(names[:_MOST_NAMES]) + ", ..." * (len(names) > _MOST_NAMES)
    told = Field("", description=few if tool.on_words else None)
    fields: dict[str, Any] = {"sandbox": (known, told)}
    if tool.on_words is not None:
        fields["on"] = (Text, Field("", description=tool.on_words or None))
    return create_model(tool.__name__, __base__=tool, **fields)


# -- the types ------------------------------------------------------------------


def _Must(rule: str) -> WrapValidator:  # noqa: N802 - reads as the type it makes
    """Say what a value must be, whatever is wrong with it."""

    def check(value: object, handler: ValidatorFunctionWrapHandler) -> object:
        try:
            return handler(value)
        except (ValidationError, ValueError):
            raise PydanticCustomError("must", "{rule}", {"rule": rule}) from None

    return WrapValidator(check)


_Plain = Annotated[str, AfterValidator(lenient.without_nul)]
Text = Annotated[_Plain, _Must("text without NUL")]
Number = Annotated[
    int,
    AfterValidator(lenient.exact),
    BeforeValidator(lenient.number),
    _Must("a whole number"),
]
Truth = Annotated[bool, BeforeValidator(lenient.stripped), _Must("true or false")]
JobReference = Annotated[
    _Plain,
    AfterValidator(lenient.stripped),
    BeforeValidator(lenient.digits),
    _Must("a job: its id, its number, its name, or last"),
]
_Values = Annotated[
    tuple[Annotated[_Plain, BeforeValidator(lenient.typed)], ...],
    Field(min_length=1),
    BeforeValidator(lenient.listed),
]
Paths = Annotated[
    tuple[_Plain, ...],
    BeforeValidator(lenient.listed),
    _Must("a path, or a list of paths"),
]
Settings = Annotated[
    dict[str, _Values],
    BeforeValidator(lenient.unpacked),
    _Must('an object such as {"steps": 500000}'),
    Field(json_schema_extra={"additionalProperties": True}),
]


def Choices(names: tuple[str, ...]) -> Any:  # noqa: ANN401, N802 - a type
    """Return the type of a list of these names; one text alone is a list of it."""
    return _Annotated[
        _Tuple[_Literal[names], ...],
        BeforeValidator(lenient.listed),
        _Must(f"one of {', '.join(names)}"),
    ]
