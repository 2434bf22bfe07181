import Type, { type TObject, type TProperties, type TSchema } from 'typebox';

/** The parts of JSON Schema that the configuration is made of, as its checker and its printers read them. */
export interface SchemaNode {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean' | 'null';
  readonly description?: string;
  readonly default?: unknown;
  /** Values for documentation; the first stands in config/default.yaml where there is no default. */
  readonly examples?: readonly unknown[];
  /** A secret: never printed. */
  readonly writeOnly?: boolean;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  /** One entry: the shape of every value of a map. */
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minItems?: number;
  readonly maxItems?: number;
}

interface TextOptions {
  readonly default?: string;
  readonly examples?: readonly string[];
  readonly pattern?: string;
  readonly maxLength?: number;
  readonly writeOnly?: true;
}

/** Settings that belong together; all of them may be left out if each has a default. */
export const group = <Properties extends TProperties>(
  description: string,
  properties: Properties,
): TObject<Properties> => Type.Object(properties, { additionalProperties: false, default: {}, description });

/** Settings that are needed together if any of them is given. */
export const block = <Properties extends TProperties>(
  description: string,
  properties: Properties,
): TObject<Properties> => Type.Object(properties, { additionalProperties: false, description });

/** A text that is not empty. */
export const text = (description: string, options: TextOptions = {}) =>
  Type.String({ minLength: 1, maxLength: 4_096, ...options, description });

/** Yes or no. */
export const flag = (description: string, fallback: boolean) => Type.Boolean({ description, default: fallback });

/** A whole number; the unit is part of the key's name. */
export const count = (description: string, fallback: number, minimum = 1, maximum = Number.MAX_SAFE_INTEGER) =>
  Type.Integer({ description, default: fallback, minimum, maximum });

/** One of a few texts; the first is the default unless another is named. */
export const choice = <const Values extends readonly [string, ...string[]]>(
  description: string,
  values: Values,
  fallback: Values[number] = values[0],
) => Type.Enum([...values] as unknown as [Values[number], ...Values[number][]], { description, default: fallback });

/** One of a few texts that must be chosen. */
export const mustChoose = <const Values extends readonly [string, ...string[]]>(description: string, values: Values) =>
  Type.Enum([...values] as unknown as [Values[number], ...Values[number][]], { description });

/** Something that may be null, and is by default. */
export const maybe = <Schema extends TSchema>(schema: Schema, description: string) =>
  Type.Union([schema, Type.Null()], { description, default: null });

/** A text that may be null, and is not by default. */
export const textOrNull = (description: string, fallback: string) =>
  Type.Union([text(''), Type.Null()], { description, default: fallback });

/** A list that is empty by default. @param example a list to show in the documentation. */
export const list = <Schema extends TSchema>(
  schema: Schema,
  description: string,
  maxItems: number,
  example: readonly unknown[],
) => Type.Array(schema, { description, default: [], maxItems, examples: [example] });

/** A list with at least one entry. */
export const someOf = <Schema extends TSchema>(
  schema: Schema,
  description: string,
  maxItems: number,
  examples: readonly (readonly string[])[],
) => Type.Array(schema, { description, minItems: 1, maxItems, examples });
