// The parts of an OpenAPI document that the API page shows.

export interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  oneOf?: Schema[];
  enum?: unknown[];
  example?: unknown;
  minimum?: number;
  maximum?: number;
}

export interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema: Schema;
  example?: unknown;
}

interface Content {
  content?: Record<string, { schema?: Schema }>;
}

export interface Operation {
  tags: string[];
  summary: string;
  description?: string;
  parameters?: Parameter[];
  requestBody?: Content;
  responses: Record<string, Content & { $ref?: string; description?: string }>;
  security?: unknown[];
}

export interface Description {
  info: { version: string };
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, Schema>;
    responses: Record<string, Content & { description: string }>;
  };
}

/** A field of a body, at any depth. */
export interface Field {
  name: string;
  kind: string;
  optional: boolean;
  about: string;
}

export class SchemaReader {
  constructor(private readonly description: Description) {}

  schema(schema: Schema): Schema {
    const name = schema.$ref?.split("/").pop();
    return name ? (this.description.components.schemas[name] ?? {}) : schema;
  }

  response(
    response: Content & { $ref?: string; description?: string },
  ): Content & { description?: string } {
    const name = response.$ref?.split("/").pop();
    return name ? (this.description.components.responses[name] ?? {}) : response;
  }

  /** Returns the type of a value in a word or two. */
  kind(given: Schema): string {
    const schema = this.schema(given);
    if (schema.enum) return schema.enum.join(" | ");
    if (schema.oneOf) return schema.oneOf.map((each) => this.kind(each)).join(" or ");
    const types = [schema.type ?? "any"].flat();
    const range =
      schema.minimum !== undefined && schema.maximum !== undefined && schema.maximum < 1e9
        ? ` ${schema.minimum}–${schema.maximum}`
        : "";
    return (
      types
        .map((type) => (type === "array" ? `list of ${this.kind(schema.items ?? {})}` : type))
        .join(" or ") + range
    );
  }

  /** Returns all members and their members. A member of a list is named `list[].member`. */
  fields(given: Schema, before = ""): Field[] {
    const schema = this.schema(given);
    if (schema.items)
      return this.fields(schema.items, before === "" ? "[]." : `${before.slice(0, -1)}[].`);
    if (schema.oneOf)
      return this.fields(
        schema.oneOf.find((each) => this.schema(each).type !== "null") ?? {},
        before,
      );
    return Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
      const optional = !(schema.required ?? []).includes(name);
      const about = member.description ?? this.schema(member).description ?? "";
      const field = { name: before + name, kind: this.kind(member), optional, about };
      return [field, ...this.fields(member, `${before}${name}.`)];
    });
  }

  /** Returns an example of a body, if the schema has an example. */
  example(given: Schema): unknown {
    const schema = this.schema(given);
    if (schema.example !== undefined) return schema.example;
    return schema.oneOf ? this.example(schema.oneOf[0] ?? {}) : undefined;
  }
}

/** Returns the schema of the first content type. */
export function schemaOf(body: Content | undefined): Schema | undefined {
  return Object.values(body?.content ?? {})[0]?.schema;
}

/** Returns the path with the examples of the parameters filled in. */
export function address(path: string, parameters: readonly Parameter[]): string {
  const value = (parameter: Parameter): string =>
    encodeURIComponent(String(parameter.example)).replaceAll("%2C", ",");
  const filled = parameters.filter((each) => each.example !== undefined);
  const url = filled
    .filter((each) => each.in === "path")
    .reduce((address, each) => address.replace(`{${each.name}}`, value(each)), path);
  const query = filled
    .filter((each) => each.in === "query")
    .map((each) => `${each.name}=${value(each)}`);
  return query.length > 0 ? `${url}?${query.join("&")}` : url;
}
